"""TensorFlow's own `.tflite` files of a float network: float32, and int8 after training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfquantseg.models.framing import Size


def float32_file(model: keras.Model, size: Size) -> bytes:
    """Returns the float32 file of a float model, of one image of (height, width) pixels."""
    return _converted(_converter(model, size))


def int8_file(model: keras.Model, images: Sequence[np.ndarray] | np.ndarray, size: Size) -> bytes:
    """Returns the int8 file that TensorFlow's converter makes of a float model and some images.

    Args:
        model: images to logits.
        images: float32 [H, W, 3], as the model takes them: the *representative data set*, which
            says how large the activations are.
        size: H and W.
    """

    def representative() -> Iterator[list[np.ndarray]]:
        for image in images:
            yield [image[np.newaxis]]

    converter = _converter(model, size)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return _converted(converter)


def _converter(model: keras.Model, size: Size) -> Any:
    """TensorFlow's converter of one image."""
    image = keras.Input(batch_shape=(1, *size, 3))  # Batch and sides must be static.
    return tf.lite.TFLiteConverter.from_keras_model(keras.Model(image, model(image)))


def _converted(converter: Any) -> bytes:
    """Converts, without the line for each variable that Keras prints when it exports a model."""
    with contextlib.ExitStack() as stack:
        if keras.config.is_interactive_logging_enabled():
            keras.config.disable_interactive_logging()
            stack.callback(keras.config.enable_interactive_logging)
        return bytes(converter.convert())
