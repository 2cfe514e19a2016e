"""The chart of a report: one row of panels a case, one column a quantity, one bar a variant."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from tfquantseg.benchmark.suite import Quantity, Report, Row

_PAPER, _INK, _FAINT = (255, 255, 255), (40, 40, 40), (120, 120, 120)
_OURS, _OTHERS, _BASE = (31, 119, 180), (188, 199, 210), (130, 140, 150)
_TITLE, _HEADING, _TEXT = 22, 16, 14  # size of the letters
_MARGIN = 24
_CHARACTERS = 130  # a line of notes
_BAR, _PITCH = 18, 25  # height of a bar, and from one bar to the next
_LENGTH = 200  # of the longest bar
_BESIDE = 150  # for the text to the right of the bars


def chart(report: Report) -> Image.Image:
    """Draws bars from zero; the shorter, the better.

    The panels of one network (or what else `scaled_by` names) and quantity share a scale, so that
    those of several sizes or batches show how the cost grows. A dotted line
    through each panel marks the base.

    Args:
        report: of at least one row.

    Returns:
        An RGB image.
    """
    rows, quantities, labels = report.rows, report.quantities, report.variants
    marked = f"Dotted: {labels[report.base]}. Shorter is better."
    notes = _wrapped((marked, *report.left_out))
    cases = [
        (case, list(group)) for case, group in itertools.groupby(rows, lambda row: row["case"])
    ]
    names = round(max(_font(_TEXT).getlength(labels[row["variant"]]) for row in rows))
    panel = _LENGTH + _BESIDE
    width = 2 * _MARGIN + names + 12 + len(quantities) * (panel + _MARGIN) - _MARGIN
    heights = [_PITCH * (len(group) + 1) + _MARGIN for _, group in cases]
    head, line = _MARGIN + _TITLE + 36, _TEXT + 8
    foot = line * len(notes) + _MARGIN if notes else 0
    picture = Image.new("RGB", (width, head + sum(heights) + foot), _PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((_MARGIN, _MARGIN), report.title, _INK, _font(_TITLE))
    lefts = [_MARGIN + names + 12 + index * (panel + _MARGIN) for index in range(len(quantities))]
    for left, quantity in zip(lefts, quantities, strict=True):
        draw.text((left, head - 22), quantity.title, _FAINT, _font(_TEXT))
    top = head
    for (case, group), height in zip(cases, heights, strict=True):
        draw.text((_MARGIN, top + _PITCH / 2), case, _INK, _font(_HEADING), anchor="lm")
        for index, row in enumerate(group):
            middle = top + _PITCH * (index + 1) + _PITCH / 2
            ink = _INK if row["variant"] in report.ours else _FAINT
            place = (_MARGIN + names, middle)
            draw.text(place, labels[row["variant"]], ink, _font(_TEXT), anchor="rm")
        for left, quantity in zip(lefts, quantities, strict=True):
            alike = group[0][report.scaled_by]
            largest = max(row[quantity.key] for row in rows if row[report.scaled_by] == alike)
            _panel(draw, (left, top + _PITCH), group, quantity, report, largest)
        top += height
    for index, note in enumerate(notes):
        draw.text((_MARGIN, top + line * index), note, _FAINT, _font(_TEXT))
    return picture


def _panel(
    draw: Any,
    corner: tuple[int, int],
    rows: Sequence[Row],
    quantity: Quantity,
    report: Report,
    largest: float,
) -> None:
    """Draws one quantity of one case.

    Args:
        draw: on the picture.
        corner: left and upper end of the first bar.
        rows: of the case.
        quantity: which.
        report: what the rows are of.
        largest: the longest bar's number.
    """
    left, top = corner
    for index, row in enumerate(rows):
        middle = top + _PITCH * index + _PITCH // 2
        length = round(_LENGTH * row[quantity.key] / largest) if largest else 0
        colour = (
            _OURS
            if row["variant"] in report.ours
            else _BASE
            if row["variant"] == report.base
            else _OTHERS
        )
        box = (left, middle - _BAR // 2, left + max(length, 1), middle + _BAR // 2)
        draw.rectangle(box, colour)
        place = (left + _LENGTH + 10, middle)
        draw.text(place, quantity.text(row), _INK, _font(_TEXT), anchor="lm")
    for row in rows:
        if row["variant"] == report.base and largest:
            x = left + round(_LENGTH * row[quantity.key] / largest)
            for y in range(top, top + _PITCH * len(rows), 6):
                draw.line((x, y, x, y + 2), _FAINT)


def _wrapped(notes: Sequence[str]) -> list[str]:
    return [line for note in notes for line in textwrap.wrap(note, _CHARACTERS)]


def _font(size: int) -> Any:
    return ImageFont.load_default(size)
