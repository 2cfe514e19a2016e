"""A worker that writes the `.tflite` files of one float network, and its description for tfmot.

All files hold the same network with the same weights, and take an image that lies on the grid
already, (u - 128) / 128 or u - 128 of bytes u: none pays for a rescaling.
"""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from tfquantseg.benchmark import description, networks, stock
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
        (to / "float32.tflite").write_bytes(stock.float32_file(body, (height, width)))
    if "stock_ptq" in variants:
        (to / "stock_ptq.tflite").write_bytes(stock.int8_file(body, on_grid, (height, width)))
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


if __name__ == "__main__":
    serve(build)
