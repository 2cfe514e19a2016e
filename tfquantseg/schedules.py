"""Learning rates that change at few, known steps.

An integer optimizer keeps the learning rate on a grid. A schedule of doublings and halvings takes a
handful of values that are known before training, so that all of them can be checked against that
grid; a cosine takes another value at each step.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import keras
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
        number = isinstance(self.peak, int | float) and not isinstance(self.peak, bool)
        if not (number and self.peak > 0 and math.isfinite(self.peak)):
            raise ValueError(f"peak={self.peak!r} is not accepted; give a positive learning rate.")
        for name in ("boundaries", "warmup"):
            steps = tuple(getattr(self, name))  # A configuration file may hold a list.
            integers = all(isinstance(step, int) and not isinstance(step, bool) for step in steps)
            if not integers or any(b <= a for a, b in itertools.pairwise((0, *steps))):
                raise ValueError(
                    f"{name}={steps} are not accepted; give integer steps from 1 in ascending "
                    "order."
                )
            object.__setattr__(self, name, steps)
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
