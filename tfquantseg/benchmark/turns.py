"""One run: workers that take turns, and what a table says of each."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfquantseg.benchmark.pairs import Spread, Turn, interleaved, ratios
from tfquantseg.benchmark.suite import spread_text
from tfquantseg.benchmark.worker import Part, Worker
from tfquantseg.training.bar import Count


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """How workers take turns.

    Attributes:
        rounds: turns of each.
        seconds: that a turn takes about.
        warm_up: steps of each that are not counted, before the first round.
        dropped: steps of each turn that are not counted, before the others.
        same_steps: whether all do as many steps a turn as the first; else each fills its turn.
    """

    rounds: int
    seconds: float
    warm_up: int
    dropped: int
    same_steps: bool = True


def take(workers: Mapping[str, Worker | Part], plan: Plan, what: str) -> dict[str, list[Turn]]:
    """Gives each worker, built before, its turn in each round.

    Args:
        workers: by variant; the first decides how many steps are a turn.
        plan: how.
        what: the run's name, for the line of progress on stderr.

    Returns:
        By variant, the turns.
    """
    warm = {name: one.steps(1, dropped=plan.warm_up - 1) for name, one in workers.items()}
    counts = {name: max(1, round(plan.seconds / turn.median)) for name, turn in warm.items()}
    if plan.same_steps:
        counts = dict.fromkeys(counts, next(iter(counts.values())))
    bar = Count(plan.rounds * len(workers), f"turns, {what}", sys.stderr)

    def turn_of(worker: Worker | Part, count: int) -> Callable[[], Turn]:
        def turn() -> Turn:
            taken = worker.steps(count, dropped=plan.dropped)
            bar.step()
            return taken

        return turn

    return interleaved(
        {name: turn_of(one, counts[name]) for name, one in workers.items()}, plan.rounds
    )


def ratio_fields(turns: Mapping[str, Sequence[Turn]], variant: str, base: str) -> dict[str, Any]:
    """Returns what a row says of ratios.

    Args:
        turns: of all variants of the run.
        variant: whose row it is.
        base: the variant that is 1.

    Returns:
        ``ratio_to_float32``, its quartiles ``ratio_low`` and ``ratio_high``, and ``ratios``: the
        same to every variant of the run, by its name.
    """
    spreads = {other: Spread.of(ratios(turns[variant], turns[other])) for other in turns}
    return {
        "ratio_to_float32": spreads[base].median,
        "ratio_low": spreads[base].low,
        "ratio_high": spreads[base].high,
        "ratios": {other: dataclasses.asdict(one) for other, one in spreads.items()},
    }


def ratio_text(row: Mapping[str, Any]) -> str:
    """Returns a row's ratio and its quartiles for a table."""
    return spread_text(row["ratio_to_float32"], row["ratio_low"], row["ratio_high"])


def megabytes(count: int) -> str:
    """Returns a number of bytes for a table: 1,234 MB."""
    return f"{count / 1e6:,.0f} MB" if count >= 1e7 else f"{count / 1e6:,.1f} MB"


def duration(seconds: float) -> str:
    """Returns a short time for a table: 1.234 s, 12.3 ms or 0.123 ms."""
    if seconds >= 1:
        return f"{seconds:.3f} s"
    return f"{1000 * seconds:.1f} ms" if seconds >= 1e-3 else f"{1000 * seconds:.3f} ms"
