"""Constants times and plus a tensor: what `x * 2`, `3 - x` or `(x - mean) / deviation` compute."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable("tfquantseg")
class Affine(keras.layers.Layer):
    """Returns ``x * factor + offset``, constants of all channels or one for each.

    Call arguments:
        x: float32 [..., C].

    Returns:
        float32 of x's shape.

    Attributes:
        factor: numbers, one or C.
        offset: the same.
    """

    def __init__(self, factor: Iterable[float], offset: Iterable[float], **kwargs: Any) -> None:
        """Builds the layer."""
        super().__init__(**kwargs)
        self.factor = tuple(map(float, factor))
        self.offset = tuple(map(float, offset))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x, scaled and shifted."""
        return x * tf.constant(self.factor, x.dtype) + tf.constant(self.offset, x.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns what a file needs to build the layer again."""
        return {**super().get_config(), "factor": self.factor, "offset": self.offset}


def is_affine(operation: Any) -> bool:
    """Whether `factor_and_offset` tells the constants of a layer.

    Args:
        operation: a layer or op.
    """
    known = (Affine, keras.layers.Rescaling, keras.layers.Normalization)
    # LayerScale is ConvNeXt's, which keras does not export.
    scales = type(operation).__name__ == "LayerScale" and hasattr(operation, "gamma")
    return isinstance(operation, known) or scales


def factor_and_offset(layer: keras.layers.Layer) -> tuple[np.ndarray, np.ndarray]:
    """Returns the constants of a layer that computes ``x * factor + offset``.

    Args:
        layer: an `Affine`, a Rescaling, a Normalization that is built, a LayerScale of ConvNeXt, or
            an activation `hard_sigmoid`, whose clamping is left out.

    Returns:
        Two float64 arrays, of one number or one a channel.
    """
    pair: tuple[Any, Any]
    if isinstance(layer, Affine):
        pair = layer.factor, layer.offset
    elif isinstance(layer, keras.layers.Rescaling):
        pair = layer.scale, layer.offset
    elif isinstance(layer, keras.layers.Normalization):
        mean, variance = (np.asarray(one, np.float64) for one in (layer.mean, layer.variance))
        factor = 1 / np.maximum(np.sqrt(variance), keras.config.epsilon())
        if layer.invert:
            factor, mean = 1 / factor, -mean * factor
        pair = factor, -mean * factor
    elif hasattr(layer, "gamma"):
        pair = keras.ops.convert_to_numpy(layer.gamma), 0.0
    else:
        pair = 1 / 6, 0.5
    factor, offset = (np.asarray(one, np.float64).reshape(-1) for one in pair)
    return factor, offset
