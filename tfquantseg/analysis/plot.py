"""Plots: panels with axes, and in them lines, histograms, points with errors, boxes and bars."""

from __future__ import annotations

import dataclasses
import math
import textwrap
from collections.abc import Sequence
from typing import Any, Literal

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Kind = Literal["line", "steps", "points"]

_PAPER, _INK, _FAINT, _GRID = (255, 255, 255), (40, 40, 40), (120, 120, 120), (228, 228, 228)
COLOURS: tuple[Colour, ...] = (
    (31, 119, 180),
    (214, 86, 60),
    (44, 140, 80),
    (148, 103, 189),
    (140, 110, 60),
    (90, 90, 90),
)
"""Of series, in turn; of forward and backward objects, the first two."""

_TITLE, _TEXT = 20, 13  # size of the letters
_MARGIN, _GAP = 20, 24
_WIDTH, _HEIGHT = 380, 230  # of the inside of a panel
_LEFT, _BELOW, _ABOVE = 62, 44, 26  # beside the inside, for ticks, label and title
_ROW = 20  # height of a line of text, and of a bar
_TICKS = 5  # about so many on an axis
_CHARACTERS = 118  # a line of notes


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
) -> Image.Image:
    """Draws panels in rows.

    Args:
        title: above all.
        parts: at least one.
        columns: panels a row.
        notes: below all.

    Returns:
        An RGB image.
    """
    columns = min(columns, len(parts))
    rows = math.ceil(len(parts) / columns)
    cell = (_LEFT + _WIDTH + _GAP, _ABOVE + _HEIGHT + _BELOW + _GAP)
    lines = _wrapped(notes)
    top = _MARGIN + _TITLE + 14
    height = top + rows * cell[1] + _ROW * len(lines) + (_MARGIN if lines else 0)
    width = max(2 * _MARGIN + columns * cell[0] - _GAP, _notes_width(lines), _title_width(title))
    picture = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((_MARGIN, _MARGIN), title, _INK, _font(_TITLE))
    for number, part in enumerate(parts):
        row, column = divmod(number, columns)
        corner = (_MARGIN + column * cell[0] + _LEFT, top + row * cell[1] + _ABOVE)
        _Axes(draw, corner, part).draw()
    _draw_notes(draw, top + rows * cell[1], lines)
    return picture


def bars(
    title: str,
    lines: Sequence[Bar],
    label: str,
    *,
    limits: tuple[float, float] | None = None,
    rules: Sequence[tuple[float, str]] = (),
    notes: Sequence[str] = (),
) -> Image.Image:
    """Draws horizontal bars from zero, or boxes where quartiles are given.

    Args:
        title: above all.
        lines: at least one.
        label: of the axis.
        limits: of the axis; None for that of the lines.
        rules: (place, text) of dotted vertical lines.
        notes: below all.

    Returns:
        An RGB image.
    """
    ends = [end for line in lines for end in (line.value, line.least, line.most) if end is not None]
    low, high = limits or _spread([0.0, *ends])
    names = round(max(_font(_TEXT).getlength(line.name) for line in lines))
    foot = _wrapped(notes)
    left, top = _MARGIN + names + 10, _MARGIN + _TITLE + 34
    inside = _ROW * len(lines)
    width = max(left + 2 * _WIDTH + _MARGIN, _notes_width(foot), _title_width(title))
    picture = Image.new("RGB", (width, top + inside + _BELOW + _ROW * len(foot) + _MARGIN), _PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((_MARGIN, _MARGIN), title, _INK, _font(_TITLE))

    def at(value: float) -> int:
        share = (min(max(value, low), high) - low) / (high - low)
        return left + round(share * 2 * _WIDTH)

    for tick in _ticks(low, high):
        draw.line((at(tick), top, at(tick), top + inside), _GRID)
        draw.text((at(tick), top + inside + 4), _short(tick), _INK, _font(_TEXT), anchor="ma")
    for place, text in rules:
        _dotted(draw, (at(place), top), (at(place), top + inside))
        draw.text((at(place), top - 4), text, _FAINT, _font(_TEXT), anchor="ms")
    for number, line in enumerate(lines):
        middle = top + _ROW * number + _ROW // 2
        draw.text((left - 8, middle), line.name, _INK, _font(_TEXT), anchor="rm")
        box = (line.low, line.high, line.least, line.most)
        if None in box:
            draw.rectangle((at(0), middle - 6, at(line.value), middle + 6), line.colour)
        else:
            q1, q3, least, most = (float(end or 0.0) for end in box)
            draw.line((at(least), middle, at(most), middle), line.colour)
            draw.rectangle((at(q1), middle - 6, at(q3), middle + 6), _light(line.colour))
            draw.rectangle((at(q1), middle - 6, at(q3), middle + 6), outline=line.colour)
            draw.line((at(line.value), middle - 6, at(line.value), middle + 6), line.colour, 2)
    draw.text((left + _WIDTH, top + inside + 22), label, _INK, _font(_TEXT), anchor="ma")
    _draw_notes(draw, top + inside + _BELOW, foot)
    return picture


class _Axes:
    """One panel, being drawn."""

    def __init__(self, draw: Any, corner: tuple[int, int], panel: Panel) -> None:
        self._draw, self._corner, self._panel = draw, corner, panel
        xs = [x for series in panel.series for x in series.x]
        xs += [place for place, _ in panel.rules]
        ys = [y for series in panel.series for y in series.y]
        ys += [place for place, _ in panel.levels]
        for series in panel.series:
            for y, error in zip(series.y, series.errors, strict=False):
                ys += [y - error, y + error]
        self._x = panel.x_range or _spread(xs)
        self._y = panel.y_range or _spread(ys)

    def draw(self) -> None:
        """Draws frame, ticks, series and legend."""
        left, top = self._corner
        draw, panel = self._draw, self._panel
        draw.text((left, top - 6), panel.title, _INK, _font(_TEXT + 1), anchor="ls")
        for tick in _ticks(*self._x):
            x = self._at(tick, 0)[0]
            draw.line((x, top, x, top + _HEIGHT), _GRID)
            draw.text((x, top + _HEIGHT + 4), _short(tick), _INK, _font(_TEXT), anchor="ma")
        for tick in _ticks(*self._y):
            y = self._at(0, tick)[1]
            draw.line((left, y, left + _WIDTH, y), _GRID)
            draw.text((left - 5, y), _short(tick), _INK, _font(_TEXT), anchor="rm")
        label = (left + _WIDTH // 2, top + _HEIGHT + 22)
        draw.text(label, panel.x, _INK, _font(_TEXT), anchor="ma")
        draw.text((left + _WIDTH, top - 6), panel.y, _FAINT, _font(_TEXT), anchor="rs")
        for place, text in panel.rules:
            x = self._at(place, 0)[0]
            _dotted(draw, (x, top), (x, top + _HEIGHT))
            draw.text((x + 3, top + 2), text, _FAINT, _font(_TEXT), anchor="la")
        for place, text in panel.levels:
            y = self._at(0, place)[1]
            _dotted(draw, (left, y), (left + _WIDTH, y))
            draw.text((left + _WIDTH - 3, y - 2), text, _FAINT, _font(_TEXT), anchor="rs")
        for number, series in enumerate(panel.series):
            self._series(series, filled=number == 0)
        draw.rectangle((left, top, left + _WIDTH, top + _HEIGHT), outline=_FAINT)
        for number, text in enumerate(panel.about):
            draw.text((left + 8, top + 6 + number * (_TEXT + 5)), text, _INK, _font(_TEXT))
        self._legend([series for series in panel.series if series.name])

    def _series(self, series: Series, *, filled: bool) -> None:
        draw = self._draw
        if series.kind == "steps":
            floor = self._at(0, self._y[0])[1]
            corners = []
            for low, high, y in zip(series.x[:-1], series.x[1:], series.y, strict=True):
                (first, height), (last, _) = self._at(low, y), self._at(high, y)
                corners += [(first, height), (last, height)]
                if filled and height < floor:
                    draw.rectangle((first, height, last, floor), _light(series.colour))
            draw.line(corners, series.colour, 2)
            return
        points = [self._at(x, y) for x, y in zip(series.x, series.y, strict=True)]
        if len(points) > 1:
            draw.line(points, series.colour, 2)
        if series.kind == "points":
            for (x, y), value, error in zip(
                points, series.y, series.errors or [0.0] * len(points), strict=True
            ):
                ends = (self._at(0, value - error)[1], self._at(0, value + error)[1])
                draw.line((x, *ends[:1], x, *ends[1:]), series.colour)
                draw.ellipse((x - 3, y - 3, x + 3, y + 3), series.colour)

    def _legend(self, named: Sequence[Series]) -> None:
        left, top = self._corner
        for number, series in enumerate(named):
            y = top + 12 + number * (_TEXT + 5)
            right = left + _WIDTH - 8
            self._draw.line((right - 16, y, right, y), series.colour, 3)
            place = (right - 22, y)
            box = self._draw.textbbox(place, series.name, _font(_TEXT), anchor="rm")
            self._draw.rectangle(box, _PAPER)
            self._draw.text(place, series.name, _INK, _font(_TEXT), anchor="rm")

    def _at(self, x: float, y: float) -> tuple[int, int]:
        left, top = self._corner
        right = _share(x, self._x)
        up = _share(y, self._y)
        return left + round(right * _WIDTH), top + round((1 - up) * _HEIGHT)


def _share(value: float, limits: tuple[float, float]) -> float:
    low, high = limits
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _spread(values: Sequence[float]) -> tuple[float, float]:
    """The range of some values, never of no length."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    room = 0.04 * (high - low) or max(abs(high), 1.0) / 2
    return (low if low == 0 else low - room), high + room


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers within a range."""
    rough = (high - low) / _TICKS
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [step * number for number in range(first, last + 1)]


def _short(value: float) -> str:
    return f"{value:.4g}"


def _light(colour: Colour) -> Colour:
    red, green, blue = (round(255 - 0.35 * (255 - part)) for part in colour)
    return red, green, blue


def _dotted(draw: Any, first: tuple[int, int], last: tuple[int, int]) -> None:
    """Draws a horizontal or vertical line of dots."""
    length = max(last[0] - first[0], last[1] - first[1])
    across = last[0] > first[0]
    for start in range(0, length, 6):
        x, y = first[0] + start * across, first[1] + start * (not across)
        draw.line((x, y, x + 2 * across, y + 2 * (not across)), _FAINT)


def _draw_notes(draw: Any, top: int, lines: Sequence[str]) -> None:
    for number, line in enumerate(lines):
        draw.text((_MARGIN, top + _ROW * number), line, _FAINT, _font(_TEXT))


def _wrapped(notes: Sequence[str]) -> list[str]:
    return [line for note in notes for line in textwrap.wrap(note, _CHARACTERS)]


def _notes_width(lines: Sequence[str]) -> int:
    return 2 * _MARGIN + round(max((_font(_TEXT).getlength(line) for line in lines), default=0))


def _title_width(title: str) -> int:
    return 2 * _MARGIN + round(_font(_TITLE).getlength(title))


def _font(size: int) -> Any:
    return ImageFont.load_default(size)
