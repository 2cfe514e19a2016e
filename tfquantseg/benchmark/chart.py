"""The chart of a report: one row of panels a case, one column a quantity, one bar a variant."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tfquantseg.benchmark.suite import Quantity, Report, Row

OURS, OTHERS, BASE = "#1f77b4", "#bcc7d2", "#828c96"
_FAINT = "0.45"
_NAMES, _PANEL = 3.2, 3.4  # width of the names, and of a panel, inches
_BAR, _BETWEEN, _AROUND = 0.26, 0.5, 0.9  # heights: a bar, what parts two cases, the title
_NOTE = 0.17  # height of a line of notes, inches
_SMALL = 9  # points
_BESIDE = 1.75  # a panel's length, in that of its longest bar: its number stands beside it
_CHARACTERS = 130  # a line of notes


def chart(report: Report) -> Figure:
    """Draws bars from zero; the shorter, the better.

    The panels of one network (or what else `scaled_by` names) and quantity share a scale, so that
    those of several sizes or batches show how the cost grows. A dotted line
    through each panel marks the base.

    Args:
        report: of at least one row.
    """
    cases = [
        (case, list(group))
        for case, group in itertools.groupby(report.rows, lambda row: row["case"])
    ]
    marked = f"Dotted: {report.variants[report.base]}. Shorter is better."
    notes = [
        line for note in (marked, *report.left_out) for line in textwrap.wrap(note, _CHARACTERS)
    ]
    heights = [_BAR * len(group) + _BETWEEN for _, group in cases]
    width = _NAMES + _PANEL * len(report.quantities)
    figure = Figure(
        figsize=(width, sum(heights) + _AROUND + _NOTE * len(notes)), layout="constrained"
    )
    figure.suptitle(report.title, x=0.01, ha="left")
    figure.supxlabel("\n".join(notes), x=0.01, ha="left", fontsize=_SMALL, color=_FAINT)
    grid = figure.subplots(len(cases), len(report.quantities), squeeze=False, height_ratios=heights)
    for (case, group), line in zip(cases, grid, strict=True):
        for axes, quantity in zip(line, report.quantities, strict=True):
            _panel(axes, group, quantity, report)
        names = [report.variants[row["variant"]] for row in group]
        line[0].set_yticks(range(len(group)), names, fontsize=_SMALL)
        line[0].set_title(case, loc="left", fontsize="medium", fontweight="bold")
    for axes, quantity in zip(grid[0], report.quantities, strict=True):
        axes.set_title(quantity.title, loc="right", fontsize="medium", color=_FAINT)
    return figure


def _panel(axes: Axes, rows: Sequence[Row], quantity: Quantity, report: Report) -> None:
    """Draws one quantity of one case."""
    alike = rows[0][report.scaled_by]
    largest = max(row[quantity.key] for row in report.rows if row[report.scaled_by] == alike)
    axes.spines[:].set_visible(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlim(0, _BESIDE * (largest or 1))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    for place, row in enumerate(rows):
        ours, base = row["variant"] in report.ours, row["variant"] == report.base
        value = row[quantity.key]
        axes.barh(place, value, height=0.7, color=OURS if ours else BASE if base else OTHERS)
        beside = 1.04 * (largest or 1)
        axes.text(beside, place, quantity.text(row), va="center", fontsize=_SMALL)
        if base and largest:
            axes.axvline(value, color=_FAINT, linestyle=":")
