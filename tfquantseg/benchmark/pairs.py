"""From measured turns to numbers: ratios pair by pair, medians, the spread of what was measured.

A *turn* is one worker's share of a *round*; in a round every worker has one turn, one after the
other. Two turns of the same round are a *pair*: whatever else the machine did in those seconds
slowed both, so their ratio is steadier than the ratio of two medians.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Turn:
    """What one turn took.

    Attributes:
        seconds: wall time of each step.
        cpu_seconds: processor time of one step, all threads of the process together.
        value: what the last step returned; in training, its loss.
    """

    seconds: tuple[float, ...]
    cpu_seconds: float
    value: float = 0.0

    @property
    def median(self) -> float:
        """The median step, seconds."""
        return float(np.median(self.seconds))


@dataclasses.dataclass(frozen=True)
class Spread:
    """The middle of some numbers: half of them lie from low to high.

    Attributes:
        median: half of them lie on either side.
        low: first quartile.
        high: third quartile.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Returns the spread of at least one number."""
        low, median, high = np.percentile(values, [25, 50, 75])
        return cls(float(median), float(low), float(high))


def interleaved(turns: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Calls each function once a round, A B C A B C ..., and returns what each gave, by round."""
    taken: dict[str, list[T]] = {name: [] for name in turns}
    for _ in range(rounds):
        for name, turn in turns.items():
            taken[name].append(turn())
    return taken


def ratios(of: Sequence[Turn], to: Sequence[Turn]) -> list[float]:
    """Returns, round by round, the median step of one over the median step of the other.

    Raises:
        ValueError: they have not the same number of rounds.
    """
    if len(of) != len(to):
        raise ValueError(f"Turns of {len(of)} and {len(to)} rounds are no pairs.")
    return [one.median / other.median for one, other in zip(of, to, strict=True)]


def all_seconds(turns: Sequence[Turn]) -> list[float]:
    """Returns the wall time of every step of every turn."""
    return [seconds for turn in turns for seconds in turn.seconds]


def percentile(values: Sequence[float], share: float) -> float:
    """Returns the value below which `share` percent of the values lie."""
    return float(np.percentile(values, share))
