"""Fake quantization written plainly: what a Keras user writes to simulate the method in float32.

Around each convolution stand three `tf.quantization.fake_quant_with_min_max_vars`, on the weights,
on the activations that enter and on the error that comes back, each with the range of its tensor:
8 bits in all three products, simulated in float32. It is what ours is measured against, and has
none of its grids for batch norm, gradients and updates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

_BITS = 8


def fake_quantized(x: tf.Tensor) -> tf.Tensor:
    """Rounds a tensor to 8 bits of its own range, max|x|; gradients pass."""
    most = tf.stop_gradient(tf.reduce_max(tf.abs(x)))
    return tf.quantization.fake_quant_with_min_max_vars(
        x, -most, most, num_bits=_BITS, narrow_range=True
    )


@tf.custom_gradient
def error_fake_quantized(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Returns x; the error that comes back is rounded to 8 bits of its own range."""
    return tf.identity(x), fake_quantized


class FakeQuantConv2D(keras.layers.Conv2D):
    """A convolution that rounds its three operands."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Returns the product of the rounded operands."""
        product = super().convolution_op(fake_quantized(inputs), fake_quantized(kernel))
        return error_fake_quantized(product)


class FakeQuantConv2DTranspose(keras.layers.Conv2DTranspose):
    """A transposed convolution that rounds its three operands."""

    def call(self, inputs: Any) -> Any:
        """Returns the product of the rounded operands."""
        product = keras.ops.conv_transpose(
            fake_quantized(inputs),
            fake_quantized(tf.convert_to_tensor(self.kernel)),
            strides=list(self.strides),
            padding=self.padding,
        )
        return error_fake_quantized(product)


_KINDS: dict[Any, Any] = {
    keras.layers.Conv2D: FakeQuantConv2D,
    keras.layers.Conv2DTranspose: FakeQuantConv2DTranspose,
}


def fake_quant(model: keras.Model) -> keras.Model:
    """Returns a copy of a float model whose convolutions round their operands."""

    def copy(layer: Any) -> Any:
        return _KINDS.get(type(layer), type(layer)).from_config(layer.get_config())

    copied = keras.models.clone_model(model, clone_function=copy)
    copied.set_weights(model.get_weights())
    return copied
