"""Activations that keep one byte a value for the backward pass."""

from collections.abc import Callable
from typing import Any, Literal

import tensorflow as tf

Activation = Literal["linear", "relu", "relu6"]


def activate(y: tf.Tensor, activation: Activation) -> tf.Tensor:
    """Returns y, max(y, 0), or min(max(y, 0), 6)."""
    if activation == "linear":
        return y
    return tf.nn.relu(y) if activation == "relu" else tf.nn.relu6(y)


def passes(output: tf.Tensor, activation: Activation) -> tf.Tensor | None:
    """Returns where an activation's derivative is 1 and not 0; None where it is 1 everywhere.

    Args:
        output: what `activate` returned.
        activation: "linear", "relu" or "relu6".
    """
    if activation == "linear":
        return None
    return output > 0 if activation == "relu" else (output > 0) & (output < 6)


def relu(x: tf.Tensor, activation: Activation) -> tf.Tensor:
    """Returns `activate(x)`; its gradient keeps a byte a value, where TensorFlow's keeps four.

    ``dL/dx = dL/dy`` where y is above 0 (and below 6), else 0.

    Args:
        x: float32 tensor of any shape.
        activation: "relu" or "relu6".
    """

    @tf.custom_gradient
    def act(x: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
        y = activate(x, activation)
        where = passes(y, activation)
        return y, lambda error: tf.where(where, error, 0.0)

    return act(x)
