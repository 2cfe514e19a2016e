"""What a suite is asked for and what it hands back."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfquantseg.names import unknown_name

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What to measure.

    Attributes:
        networks: names; empty for all of the suite.
        variants: names; empty for all of the suite.
        pieces: names; empty for all of the suite.
        sizes: (height, width) in pixels; empty for each network's own.
        batches: images a step; empty for each network's own.
        rounds: turns of each variant; None for the suite's own number.
        threads: that every variant may use.
        peers_python: the interpreter of peers.lock, None where there is none.
        say: shows a line to the user while the suite runs.
    """

    networks: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    pieces: tuple[str, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    batches: tuple[int, ...] = ()
    rounds: int | None = None
    threads: int = 1
    peers_python: Path | None = None
    say: Callable[[str], None] = print


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the table for people.

    Attributes:
        title: above it.
        text: what it shows of a row.
        left: whether its text begins at the left, as words do.
    """

    title: str
    text: Callable[[Row], str]
    left: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantity:
    """A quantity that the chart shows.

    Attributes:
        title: above its bars, with the unit.
        key: of the rows.
        text: what stands beside a bar.
    """

    title: str
    key: str
    text: Callable[[Row], str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """What a suite has measured.

    Attributes:
        title: of table and chart.
        rows: one for each thing measured, in plain values, as JSON gets them. Those with the same
            ``case`` were measured in one run.
        variants: by name, what a variant is called in table and chart.
        base: the variant that the others are compared with.
        ours: the variants that are ours.
        columns: of the table.
        quantities: of the chart.
        notes: how to read it.
        left_out: what was not measured, and what to do about it.
        scaled_by: rows that are alike under this key share a scale in the chart.
    """

    title: str
    rows: tuple[Row, ...]
    variants: Mapping[str, str]
    base: str
    ours: tuple[str, ...]
    columns: tuple[Column, ...]
    quantities: tuple[Quantity, ...]
    notes: tuple[str, ...]
    left_out: tuple[str, ...]
    scaled_by: str = "network"

    @property
    def cases(self) -> int:
        """How many runs there were."""
        return len({row["case"] for row in self.rows})

    def table(self) -> str:
        """Returns the table, in Markdown whose columns are aligned."""
        return table(self.rows, self.columns)

    def comparisons(self) -> list[str]:
        """Returns a line for each run: the last of ours that ran against every other variant."""
        lines = []
        for case, group in itertools.groupby(self.rows, lambda row: row["case"]):
            for row in [row for row in group if row["variant"] in self.ours][-1:]:
                shares = [
                    f"{self.variants[name]} {spread_text(one['median'], one['low'], one['high'])}"
                    for name, one in row["ratios"].items()
                    if name != row["variant"]
                ]
                mine = self.variants[row["variant"]]
                lines.append(f"{case}: {mine}, as a share of {'; '.join(shares)}.")
        return lines

    def as_json(self) -> dict[str, Any]:
        """Returns ``rows`` and ``left_out``."""
        return {"rows": [dict(row) for row in self.rows], "left_out": list(self.left_out)}


def spread_text(median: float, low: float, high: float) -> str:
    """Returns a ratio and its quartiles as people read them: 0.75 (0.74-0.77)."""
    return f"{median:.2f} ({low:.2f}-{high:.2f})"


def table(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """Returns a Markdown table whose columns are aligned for those who read it as it is."""
    cells = [[column.title for column in columns]]
    cells += [[column.text(row) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for line in cells:
        padded = [
            text.ljust(width) if column.left else text.rjust(width)
            for text, width, column in zip(line, widths, columns, strict=True)
        ]
        lines.append(f"| {' | '.join(padded)} |")
    rules = [
        "-" * width if column.left else f"{'-' * (width - 1)}:"
        for width, column in zip(widths, columns, strict=True)
    ]
    lines.insert(1, f"| {' | '.join(rules)} |")
    return "\n".join(lines)


def chosen(kind: str, asked: Sequence[str], known: Iterable[str]) -> tuple[str, ...]:
    """Returns the names asked for in the order in which they are known; all if none was.

    Args:
        kind: what they name, for the error message.
        asked: names.
        known: all names.

    Raises:
        ValueError: a name is not known; names the nearest.
    """
    accepted = tuple(known)
    for name in asked:
        if name not in accepted:
            raise unknown_name(kind, name, accepted)
    return tuple(name for name in accepted if not asked or name in asked)


def refuse_pieces(request: Request, suite: str) -> None:
    """Checks that a suite of whole networks was not asked for pieces of them.

    Raises:
        ValueError: it was.
    """
    if request.pieces:
        raise ValueError(
            f"--pieces is not for --suite={suite}, which measures whole networks: choose them with "
            "--networks, or measure pieces with --suite=kernels."
        )
