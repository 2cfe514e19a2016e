"""Pooling by maximum that keeps a byte a window for the backward pass."""

from collections.abc import Callable
from typing import Any, Literal

import tensorflow as tf

from tfquantseg import kernels

_MOST_TAPS = 256


def max_pool(
    x: tf.Tensor,
    size: tuple[int, int],
    strides: tuple[int, int],
    padding: Literal["SAME", "VALID"],
) -> tf.Tensor:
    """Returns the largest value of each window.

    ``dL/dx`` is dL/dy at the first largest element of a window, summed over windows, else 0. Own
    ops keep the number of that element, TensorFlow's keep x and y.

    Args:
        x: float32 [N, H, W, C].
        size: of a window, vertical and horizontal, pixels.
        strides: from window to window, likewise.
        padding: "SAME" or "VALID".

    Returns:
        float32 [N, H', W', C], as `tf.nn.max_pool2d`.
    """
    ops = kernels.ops()
    if ops is None or size[0] * size[1] > _MOST_TAPS:
        return tf.nn.max_pool2d(x, size, strides, padding)
    attributes = {"size": list(size), "strides": list(strides), "padding": padding}

    @tf.custom_gradient
    def act(x: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
        y, taps = ops.tfquantseg_max_pool(x, **attributes)
        sizes = tf.shape(x)
        return y, lambda error: ops.tfquantseg_max_pool_gradient(sizes, taps, error, **attributes)

    return act(x)
