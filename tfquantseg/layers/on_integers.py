"""Layers that act on the integers of a pair where a plain Keras layer would leave the grid.

Layers that move or choose values (padding with zeros, cropping, nearest upsampling, concatenation)
are plain Keras layers applied to the integers; the step stays. So would pooling by maximum be, but
for its memory.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfquantseg.numerics import max_pool, round_half_away, round_half_up, round_on_step

_ROUNDINGS = {"half_up": round_half_up, "half_away": round_half_away, "half_even": tf.round}


@keras.saving.register_keras_serializable("tfquantseg")
class RoundOnStep(keras.layers.Layer):
    """Rounds averages of integers back onto their step, as a device does.

    Call arguments:
        x: float32 of any shape, in steps.

    Returns:
        float32 integers of x's shape; the error passes straight through.

    Attributes:
        rounding: "half_up", "half_away" or "half_even".
        centre: the integer that "half_away" rounds away from: 0, or of an unsigned grid the 128
            that a device's byte counts from.
    """

    def __init__(self, rounding: str = "half_away", centre: int = 0, **kwargs: Any) -> None:
        """Builds the layer."""
        super().__init__(**kwargs)
        if rounding not in _ROUNDINGS:
            raise ValueError(
                f"{self.name}: rounding must be one of {', '.join(_ROUNDINGS)}, "
                f"received {rounding!r}."
            )
        self.rounding = rounding
        self.centre = centre

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the nearest integers."""
        rounded = _ROUNDINGS[self.rounding]
        if not self.centre:
            return round_on_step(x, rounded)
        return round_on_step(x, lambda x: rounded(x - self.centre) + self.centre)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns what a file needs to build the layer again."""
        config = {**super().get_config(), "rounding": self.rounding}
        # Left out where it is 0, as it is in files of before there was a choice.
        return {**config, "centre": self.centre} if self.centre else config


@keras.saving.register_keras_serializable("tfquantseg")
class StaysOnGrid(keras.layers.Layer):
    """Checks that a layer of the user's own has made integers of its input's grid.

    Call arguments:
        x: float32 of any shape.

    Returns:
        x. Other values raise `tf.errors.InvalidArgumentError`.

    Attributes:
        least: the smallest integer of the grid.
        most: the largest.
        message: what the error says.
    """

    def __init__(self, least: int, most: int, message: str, **kwargs: Any) -> None:
        """Builds the layer."""
        super().__init__(**kwargs)
        self.least = least
        self.most = most
        self.message = message

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x, once it has been checked."""
        good = (x == tf.round(x)) & (x >= self.least) & (x <= self.most)
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(good), [self.message])]):
            return tf.identity(x)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns what a file needs to build the layer again."""
        own = {"least": self.least, "most": self.most, "message": self.message}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("tfquantseg")
class LeanMaxPooling2D(keras.layers.MaxPooling2D):
    """Pooling by maximum that keeps a byte a window for the backward pass; channels last.

    Call arguments:
        x: float32 [N, H, W, C].

    Returns:
        What `keras.layers.MaxPooling2D` returns, with the same gradient.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the largest value of each window."""
        return max_pool(x, self.pool_size, self.strides, self.padding.upper())


@keras.saving.register_keras_serializable("tfquantseg")
class QuantDropout(keras.layers.Dropout):
    """Dropout on a pair: integers become 0 with probability ``rate``, the step s/(1 - rate).

    Call arguments:
        pair: (integers, step).
        training: whether anything is dropped.

    Returns:
        (integers, step), their product what `keras.layers.Dropout` gives for the pair's product.
    """

    def call(
        self, pair: tuple[tf.Tensor, tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the integers that are kept, and the step."""
        integers, step = pair
        if not training or self.rate == 0:
            return tf.identity(integers), tf.identity(step)
        keep = 1.0 - self.rate
        if keep == 0:
            return tf.zeros_like(integers), tf.identity(step)
        return _without_factor(super().call(integers, training=True), keep), step / keep

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the pair's shapes, unchanged."""
        return input_shape


def _without_factor(scaled: tf.Tensor, keep: float) -> tf.Tensor:
    """Undoes dropout's factor 1/keep on integers; the error, of the value, keeps the factor."""

    @tf.custom_gradient
    def act(scaled: tf.Tensor) -> tuple[tf.Tensor, Callable[..., tf.Tensor]]:
        return tf.round(scaled * keep), lambda error: error

    return act(scaled)
