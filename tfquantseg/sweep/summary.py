"""What a sweep found: means, standard errors, and differences seed by seed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfquantseg.sweep.description import SCORES, Sweep
from tfquantseg.sweep.table import FINISHED, Row

RESOLVED = 2.0
"""Standard errors from zero beyond which a difference counts as one."""
_PERCENT = ("miou", "miou_per_image", "boundary_miou", "pixel_accuracy")
_COUNTS = ("seconds", "steps")  # of which no difference is shown


@dataclasses.dataclass(frozen=True)
class Mean:
    """The mean over n seeds, and its standard error s / sqrt(n), s with n - 1 in its denominator.

    Attributes:
        mean: of the values.
        error: the standard error; None of a single value.
        count: n.
    """

    mean: float
    error: float | None
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Mean | None:
        """Returns it of some values, None of none."""
        if not values:
            return None
        count = len(values)
        error = float(np.std(values, ddof=1)) / math.sqrt(count) if count > 1 else None
        return cls(float(np.mean(values)), error, count)

    @property
    def resolved(self) -> bool:
        """Whether the mean, of differences, lies more than 2 standard errors from zero."""
        return self.error is not None and abs(self.mean) > RESOLVED * self.error


@dataclasses.dataclass(frozen=True)
class Line:
    """A variant in a summary.

    Attributes:
        name: of the variant.
        baseline: the variant that it is compared with.
        values: by score and seed, of the runs that finished.
        diverged: seeds of the runs that did.
        missing: seeds of the runs that the table does not hold.
        means: by score.
        differences: by score, to the baseline, over the seeds with which both finished.
    """

    name: str
    baseline: str
    values: Mapping[str, Mapping[int, float]]
    diverged: tuple[int, ...]
    missing: tuple[int, ...]
    means: Mapping[str, Mean | None]
    differences: Mapping[str, Mean | None]


@dataclasses.dataclass(frozen=True)
class Summary:
    """All variants of a sweep.

    Attributes:
        sweep: what was asked.
        lines: in its order.
    """

    sweep: Sweep
    lines: tuple[Line, ...]

    def markdown(self) -> str:
        """Returns a table for each baseline, and how to read it."""
        parts = [self.sweep.title]
        for baseline in dict.fromkeys(self.sweep.baselines.values()):
            lines = [line for line in self.lines if line.baseline == baseline]
            parts.append(_markdown(lines, baseline, self.sweep.scores))
        parts.append(
            "Mean ± standard error over the seeds; scores in percent, differences in points, seed "
            "by seed. Not resolved: within 2 standard errors of zero."
        )
        return "\n\n".join(parts)

    def as_json(self) -> dict[str, Any]:
        """Returns everything in plain values; scores as fractions in 0..1."""
        return {
            "sweep": self.sweep.name,
            "title": self.sweep.title,
            "variants": [_as_json(line) for line in self.lines],
        }


def summary_of(sweep: Sweep, rows: Mapping[str, Row]) -> Summary:
    """Summarizes what a table holds of a sweep.

    Args:
        sweep: what was asked.
        rows: by key; those of other runs are not looked at.
    """
    values: dict[str, dict[str, dict[int, float]]] = {}
    diverged: dict[str, list[int]] = {}
    missing: dict[str, list[int]] = {}
    for name in sweep.baselines:
        values[name] = {score: {} for score in SCORES}
        diverged[name], missing[name] = [], []
    for run in sweep.runs:
        row = rows.get(run.key)
        if row is None:
            missing[run.variant].append(run.seed)
        elif row["outcome"] != FINISHED:
            diverged[run.variant].append(run.seed)
        else:
            for score in SCORES:
                if row[score] is not None:
                    values[run.variant][score][run.seed] = row[score]
    return Summary(
        sweep,
        tuple(
            Line(
                name,
                baseline,
                values[name],
                tuple(diverged[name]),
                tuple(missing[name]),
                {score: Mean.of(list(found.values())) for score, found in values[name].items()},
                {
                    score: _difference(values[name][score], values[baseline][score])
                    for score in SCORES
                    if name != baseline
                },
            )
            for name, baseline in sweep.baselines.items()
        ),
    )


def _difference(first: Mapping[int, float], second: Mapping[int, float]) -> Mean | None:
    return Mean.of([first[seed] - second[seed] for seed in first if seed in second])


def _markdown(lines: Sequence[Line], baseline: str, scores: Sequence[str]) -> str:
    """Returns the table of the variants that are compared with one."""
    titles = ["variant", "runs"]
    for score in scores:
        titles.append(SCORES[score])
        if score not in _COUNTS:
            titles.append(f"minus {baseline}")
    cells = [titles]
    for line in lines:
        row = [line.name, _runs(line)]
        for score in scores:
            row.append(_text(line.means[score], score))
            if score not in _COUNTS:
                compared = line.differences.get(score)
                row.append(_difference_text(compared, score))
        cells.append(row)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    shown = [
        f"| {' | '.join(text.ljust(width) for text, width in zip(row, widths, strict=True))} |"
        for row in cells
    ]
    shown.insert(1, f"|{'|'.join('-' * (width + 2) for width in widths)}|")
    return "\n".join(shown)


def _runs(line: Line) -> str:
    finished = len(line.values["miou"])
    parts = [str(finished)]
    if line.diverged:
        parts.append(f"{len(line.diverged)} diverged")
    if line.missing:
        parts.append(f"{len(line.missing)} to do")
    return ", ".join(parts)


def _number(value: float, score: str, sign: str = "") -> str:
    if score in _PERCENT:
        return f"{100 * value:{sign}.2f}"
    return f"{value:{sign}.0f}" if score in _COUNTS else f"{value:{sign}.4f}"


def _text(mean: Mean | None, score: str) -> str:
    if mean is None:
        return "-"
    text = _number(mean.mean, score)
    return f"{text} ± {_number(mean.error, score)}" if mean.error else text


def _difference_text(mean: Mean | None, score: str) -> str:
    if mean is None:
        return "-"
    text = _number(mean.mean, score, "+")
    if mean.error is None:
        return f"{text} (one seed)"
    text += f" ± {_number(mean.error, score)}"
    return text if mean.resolved else f"{text}, not resolved"


def _as_json(line: Line) -> dict[str, Any]:
    scores = {}
    for score in SCORES:
        mean, difference = line.means[score], line.differences.get(score)
        scores[score] = {
            "values": {str(seed): value for seed, value in line.values[score].items()},
            "mean": mean.mean if mean else None,
            "standard_error": mean.error if mean else None,
            "difference": {
                "mean": difference.mean,
                "standard_error": difference.error,
                "seeds": difference.count,
                "resolved": difference.resolved,
            }
            if difference
            else None,
        }
    return {
        "name": line.name,
        "baseline": line.baseline,
        "diverged": list(line.diverged),
        "missing": list(line.missing),
        "scores": scores,
    }
