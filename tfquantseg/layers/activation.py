"""ReLU as the quantized model has it where no convolution computes it itself."""

import keras
import tensorflow as tf

from tfquantseg.numerics import relu


@keras.saving.register_keras_serializable("tfquantseg")
class LeanReLU(keras.layers.ReLU):
    """ReLU or ReLU6 that keeps one byte a value for the backward pass.

    Call arguments:
        x: float32 of any shape.

    Returns:
        What `keras.layers.ReLU` returns, with the same gradient.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns max(x, 0), at most ``max_value``."""
        return relu(x, "relu" if self.max_value is None else "relu6")
