"""Plots: panels with axes, and in them lines, histograms, points with errors, boxes and bars.

What is drawn is said in plain values; matplotlib draws it, without its global state.
"""

from __future__ import annotations

import dataclasses
import math
import textwrap
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

Colour = tuple[int, int, int]
Kind = Literal["line", "steps", "points"]

COLOURS: tuple[Colour, ...] = (
    (31, 119, 180),
    (214, 86, 60),
    (44, 140, 80),
    (148, 103, 189),
    (140, 110, 60),
    (90, 90, 90),
)
"""Of series, in turn; of forward and backward objects, the first two."""

_FAINT = "0.45"
_PANEL = (5.0, 3.4)  # width and height, inches
_BARS_WIDTH, _BAR = 9.0, 0.24  # of a chart, and height of a bar with its gap, inches
_AROUND, _ROW = 1.2, 0.18  # title and axis, and a line of notes, inches
_SMALL = 8  # points, of legends and notes
_CHARACTERS = 110  # a line of notes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Series:
    """What is drawn in a panel.

    Attributes:
        name: in the legend; empty for none.
        kind: a "line" through points, a histogram's "steps", or "points" with a line and errors.
        x: of points; of steps the edges, one more than `y`.
        y: values.
        errors: half the length of the error bars, by point, of "points".
        colour: RGB.
    """

    name: str
    kind: Kind
    x: Sequence[float]
    y: Sequence[float]
    errors: Sequence[float] = ()
    colour: Colour = COLOURS[0]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Panel:
    """Axes with what is in them.

    Attributes:
        title: above it.
        x: label of the horizontal axis.
        y: label of the vertical axis.
        series: drawn in this order.
        x_range: of the axis; None for that of the series.
        y_range: the same.
        rules: (place, text) of dotted vertical lines.
        levels: (place, text) of dotted horizontal lines.
        about: lines of text in the upper left corner.
    """

    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    rules: tuple[tuple[float, str], ...] = ()
    levels: tuple[tuple[float, str], ...] = ()
    about: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bar:
    """A line of a chart of bars or boxes.

    Attributes:
        name: to its left.
        value: the bar's end, or a box's median.
        low: first quartile of a box.
        high: third quartile.
        least: lower end of its whisker.
        most: upper end.
        colour: RGB.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    least: float | None = None
    most: float | None = None
    colour: Colour = COLOURS[0]


def panels(
    title: str, parts: Sequence[Panel], *, columns: int = 2, notes: Sequence[str] = ()
) -> Figure:
    """Draws panels in rows.

    Args:
        title: above all.
        parts: at least one.
        columns: panels a row.
        notes: below all.
    """
    columns = min(columns, len(parts))
    rows = math.ceil(len(parts) / columns)
    figure = _figure(title, columns * _PANEL[0], rows * _PANEL[1], notes)
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, part in zip(grid, parts, strict=False):
        _draw(axes, part)
    for axes in grid[len(parts) :]:
        axes.remove()
    return figure


def bars(
    title: str,
    lines: Sequence[Bar],
    label: str,
    *,
    limits: tuple[float, float] | None = None,
    rules: Sequence[tuple[float, str]] = (),
    notes: Sequence[str] = (),
) -> Figure:
    """Draws horizontal bars from zero, or boxes where quartiles are given.

    Args:
        title: above all.
        lines: at least one.
        label: of the axis.
        limits: of the axis; None for that of the lines.
        rules: (place, text) of dotted vertical lines.
        notes: below all.
    """
    figure = _figure(title, _BARS_WIDTH, _AROUND + _BAR * len(lines), notes)
    axes = figure.subplots()
    for place, line in enumerate(lines):
        colour = share(line.colour)
        if line.low is None:
            axes.barh(place, line.value, height=0.6, color=colour)
            continue
        box = {
            "med": line.value,
            "q1": line.low,
            "q3": line.high,
            "whislo": line.least,
            "whishi": line.most,
        }
        edges: Any = {"color": colour}
        axes.bxp(
            [box],
            [place],
            widths=0.6,
            orientation="horizontal",
            showfliers=False,
            patch_artist=True,
            manage_ticks=False,
            boxprops={"facecolor": (*colour, 0.35), "edgecolor": colour},
            medianprops={**edges, "linewidth": 2},
            whiskerprops=edges,
            capprops=edges,
        )
    axes.set_yticks(range(len(lines)), [line.name for line in lines])
    axes.set_ylim(len(lines) - 0.5, -0.5)
    if limits:
        axes.set_xlim(*limits)
    axes.set_xlabel(label)
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    _mark(axes, rules, ())
    return figure


def image(figure: Figure) -> Image.Image:
    """Returns a figure as an RGB image."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def share(colour: Colour) -> tuple[float, float, float]:
    """Returns a colour as matplotlib takes it, in 0..1."""
    red, green, blue = colour
    return red / 255, green / 255, blue / 255


def _figure(title: str, width: float, height: float, notes: Sequence[str]) -> Figure:
    lines = [line for note in notes for line in textwrap.wrap(note, _CHARACTERS)]
    size = (width, height + _ROW * (2 + len(lines)))
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    if lines:
        text = "\n".join(lines)
        figure.supxlabel(text, x=0.01, ha="left", fontsize=_SMALL, color=_FAINT)
    return figure


def _draw(axes: Axes, panel: Panel) -> None:
    axes.set_title(panel.title, loc="left", fontsize="medium")
    axes.set_xlabel(panel.x)
    axes.set_ylabel(panel.y)
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    for number, series in enumerate(panel.series):
        _add(axes, series, filled=number == 0)
    axes.set_xlim(panel.x_range)
    axes.set_ylim(panel.y_range)
    _mark(axes, panel.rules, panel.levels)
    if panel.about:
        text = "\n".join(panel.about)
        axes.text(0.02, 0.97, text, transform=axes.transAxes, va="top", fontsize=_SMALL)
    if any(series.name for series in panel.series):
        axes.legend(fontsize=_SMALL)


def _add(axes: Axes, series: Series, *, filled: bool) -> None:
    colour, label = share(series.colour), series.name or None
    if series.kind == "steps":
        if filled:
            axes.stairs(series.y, series.x, color=colour, fill=True, alpha=0.35)
        axes.stairs(series.y, series.x, color=colour, label=label, linewidth=1.5)
    elif series.kind == "points":
        axes.errorbar(
            series.x,
            series.y,
            yerr=series.errors or None,
            color=colour,
            label=label,
            marker="o",
            markersize=4,
        )
    else:
        axes.plot(series.x, series.y, color=colour, label=label)


def _mark(
    axes: Axes, rules: Sequence[tuple[float, str]], levels: Sequence[tuple[float, str]]
) -> None:
    """Draws dotted lines, each with its text."""
    for place, text in rules:
        axes.axvline(place, color=_FAINT, linestyle=":")
        across = axes.get_xaxis_transform()
        axes.text(place, 0.99, f" {text}", transform=across, va="top", fontsize=_SMALL)
    for place, text in levels:
        axes.axhline(place, color=_FAINT, linestyle=":")
        along = axes.get_yaxis_transform()
        axes.annotate(
            text,
            (0.99, place),
            xycoords=along,
            xytext=(0, -6),  # below the points of a curve that lies on the line
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=_SMALL,
        )
