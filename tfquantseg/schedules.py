"""Learning rates that change at few, known steps.

An integer optimizer keeps the learning rate on a grid. A schedule of halvings takes a handful of
values that are known before training, each half of the one before it, so that all of them can be
checked against that grid; a cosine takes another value at each step.
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
    r"""A learning rate that is halved at each of some steps.

    $$\eta(t) = \eta_0 \, 2^{-|\{b \in B : b \le t\}|}$$

    Step t is the number of updates made before, as optimizers count: with `boundaries=(100,)`
    updates 0..99 use the initial rate and update 100 is the first to use half of it.

    Args:
        initial: Learning rate of step 0, positive.
        boundaries: The steps, from 1, in ascending order; without any the rate is constant.

    Raises:
        ValueError: `initial` is not positive and finite, or `boundaries` do not ascend from 1.
    """

    initial: float
    boundaries: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuses what is no learning rate and boundaries out of order."""
        if not (self.initial > 0 and math.isfinite(self.initial)):
            raise ValueError(
                f"initial={self.initial} is not accepted; give a positive learning rate."
            )
        boundaries = tuple(self.boundaries)  # A configuration file may hold a list.
        if any(later <= sooner for sooner, later in itertools.pairwise((0, *boundaries))):
            raise ValueError(
                f"boundaries={boundaries} are not accepted; give steps from 1 in ascending order."
            )
        object.__setattr__(self, "boundaries", boundaries)

    def __call__(self, step: Any) -> tf.Tensor:
        """Learning rate of an update.

        Args:
            step: Number of updates made before, an integer, tensor or variable.

        Returns:
            float32 scalar, one of `values()`.
        """
        passed = keras.ops.convert_to_tensor(step, "int64") >= tf.constant(
            self.boundaries, tf.int64
        )
        return tf.gather(self.values(), tf.reduce_sum(tf.cast(passed, tf.int32)))

    def values(self) -> tuple[float, ...]:
        """All values that it takes, in order."""
        return tuple(self.initial * 2.0**-halvings for halvings in range(len(self.boundaries) + 1))

    def get_config(self) -> dict[str, Any]:
        """Its fields, for Keras to save."""
        return {"initial": self.initial, "boundaries": list(self.boundaries)}
