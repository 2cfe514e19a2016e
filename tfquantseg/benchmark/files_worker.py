"""A worker that writes the `.tflite` files of one float network, and its description for tfmot.

All files hold the same network with the same weights, and take an image that lies on the grid
already, (u - 128) / 128 or u - 128 of bytes u: none pays for a rescaling.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfquantseg.benchmark import description, networks
from tfquantseg.benchmark.peers.answers import Step, serve
from tfquantseg.export import freeze, write_tflite
from tfquantseg.policy import preset
from tfquantseg.transform import quantize

_CALIBRATION = 8  # images, which TensorFlow's converter runs one by one
_BATCH = 2  # of them, whose activations are in memory at once


def build(*, network: str, size: list[int], folder: str, variants: list[str]) -> Step:
    """Writes VARIANT.tflite of each variant, but for tfmot's; what it returns does nothing."""
    height, width = size
    random = np.random.default_rng(0)
    bytes_ = random.integers(0, 256, (_CALIBRATION, height, width, 3)).astype(np.float32)
    model = networks.network(network).build((height, width))
    give_statistics(model, bytes_[:_BATCH])
    body = description.without_rescaling(model)
    to = Path(folder)
    description.write(body, to)
    on_grid = (bytes_ - 128) / 128
    if "float32" in variants:
        (to / "float32.tflite").write_bytes(_converter(body).convert())
    if "stock_ptq" in variants:
        (to / "stock_ptq.tflite").write_bytes(stock_ptq(body, on_grid))
    if "ours" in variants:
        quantized = quantize(model, preset("INTEGER"))
        quantized(bytes_[:_BATCH], training=True)
        (to / "ours.tflite").write_bytes(write_tflite(freeze(quantized, height, width)))
    return lambda: 0.0


def give_statistics(model: keras.Model, images: np.ndarray) -> None:
    """Gives the batch norms the statistics of these images.

    Without them the activations of a new network of 50 layers grow or vanish, and a file of it
    would compute on zeros.
    """
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(images, training=True)
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum


def stock_ptq(model: keras.Model, images: np.ndarray) -> bytes:
    """Returns the int8 file that TensorFlow's converter makes of a float model and some images."""

    def representative() -> Iterator[list[np.ndarray]]:
        for image in images:
            yield [image[np.newaxis]]

    converter = _converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def _converter(model: keras.Model) -> Any:
    """TensorFlow's converter of one image of the model's size."""
    image = keras.Input(batch_shape=(1, *model.input_shape[1:]))  # The batch must be static.
    return tf.lite.TFLiteConverter.from_keras_model(keras.Model(image, model(image)))


if __name__ == "__main__":
    serve(build)
