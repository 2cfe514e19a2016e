"""Learning rates that change at few, known steps.

An integer optimizer keeps the learning rate on a grid. A schedule of doublings and halvings takes a
handful of values that are known before training, so that all of them can be checked against that
grid; a cosine takes another value at each step.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable("tfquantseg")
@dataclasses.dataclass(frozen=True)
class Halvings(keras.optimizers.schedules.LearningRateSchedule):
    r"""A learning rate that warms up by doubling, and is halved at each of some later steps.

    $$\eta(t) = \eta_{peak} \, 2^{-|\{w \in W : w > t\}| - |\{b \in B : b \le t\}|}$$

    Step t is the number of updates made before, as optimizers count: with `boundaries=(100,)`
    updates 0..99 use the peak rate and update 100 is the first to use half of it. With
    `warmup=(10, 20)` updates 0..9 use a quarter of the peak, 10..19 half of it, 20 all of it.

    Args:
        peak: The highest learning rate, positive.
        boundaries: The steps of halving, from 1, in ascending order.
        warmup: The steps of doubling, from 1, in ascending order, all before the first boundary.

    Raises:
        ValueError: `peak` is no positive, finite number, or the steps are not integers that ascend
            from 1.
    """

    peak: float
    boundaries: tuple[int, ...] = ()
    warmup: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuses what is no learning rate and steps out of order."""
        number = isinstance(self.peak, int | float | np.floating | np.integer)
        if not number or isinstance(self.peak, bool) or not 0 < self.peak < math.inf:
            raise ValueError(f"peak={self.peak!r} is not accepted; give a positive learning rate.")
        object.__setattr__(self, "peak", float(self.peak))
        for name in ("boundaries", "warmup"):
            object.__setattr__(self, name, _ascending(name, getattr(self, name)))
        if self.warmup and self.boundaries and self.warmup[-1] >= self.boundaries[0]:
            raise ValueError(
                f"warmup={self.warmup} does not end before boundaries={self.boundaries} begin; "
                "let the rate reach its peak first."
            )

    def __call__(self, step: Any) -> tf.Tensor:
        """Learning rate of an update.

        Args:
            step: Number of updates made before, an integer, tensor or variable.

        Returns:
            float32 scalar, one of `values()`.
        """
        changes = tf.constant((*self.warmup, *self.boundaries), tf.int64)
        passed = keras.ops.convert_to_tensor(step, "int64") >= changes
        return tf.gather(self.values(), tf.reduce_sum(tf.cast(passed, tf.int32)))

    def values(self) -> tuple[float, ...]:
        """All values that it takes, in order."""
        exponents = (*range(-len(self.warmup), 0), *range(0, -len(self.boundaries) - 1, -1))
        return tuple(self.peak * 2.0**exponent for exponent in exponents)

    def get_config(self) -> dict[str, Any]:
        """Its fields, for Keras to save."""
        return {
            "peak": self.peak,
            "boundaries": list(self.boundaries),
            "warmup": list(self.warmup),
        }


def _ascending(name: str, steps: Any) -> tuple[int, ...]:
    """Steps as a tuple of Python's integers; a configuration file may hold a list of them."""
    listed: list[Any] = list(steps) if isinstance(steps, Sequence | np.ndarray) else [None]
    integers = all(
        isinstance(step, int | np.integer) and not isinstance(step, bool) for step in listed
    )
    if not integers or any(b <= a for a, b in itertools.pairwise((0, *listed))):
        raise ValueError(
            f"{name}={steps!r} are not accepted; give integer steps from 1 in ascending order, "
            "(step, ...)."
        )
    return tuple(map(int, listed))
