"""The whole way of a float model: quantized, trained for two steps, frozen, written, certified."""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfquantseg import IntegerSGD, hold_scales, preset, quantize
from tfquantseg.export import Certificate, Network, calibrate, certify, freeze, write_tflite
from tfquantseg.export.network import Repeat
from tfquantseg.transform import count_convolutions

L = keras.layers


class Certified(NamedTuple):
    """What the way ends with."""

    model: keras.Model
    network: Network
    content: bytes
    certificate: Certificate


def on_grid(x: Any, name: str | None = None) -> Any:
    """Bytes on the 8-bit grid."""
    return L.Rescaling(1 / 128, offset=-1, name=name)(x)


def convolutions(model: keras.Model) -> int:
    """Convolution layers of a quantized model."""
    kinds = ("QuantConv2D", "QuantDepthwiseConv2D", "QuantConv2DTranspose", "QuantDense")
    return sum(type(layer).__name__ in kinds for layer in model.layers)


def random_images(model: keras.Model, batch: int) -> list[np.ndarray]:
    """Random bytes for each input of a model, uint8 [batch, H, W, C]."""
    rng = np.random.default_rng(0)
    shapes = [tensor.shape[1:] for tensor in model.inputs]
    return [rng.integers(0, 256, (batch, *shape)).astype(np.uint8) for shape in shapes]


def train(
    model: keras.Model, images: list[np.ndarray], steps: int, *, rate: float = 2.0**-6
) -> None:
    """Steps of training, each of which reaches every variable that is trained."""
    batch = keras.tree.pack_sequence_as(
        model._inputs_struct, [image.astype(np.float32) for image in images]
    )
    optimizer = IntegerSGD(rate, momentum=0.5)
    for _ in range(steps):
        with tf.GradientTape() as tape:
            ends = keras.tree.flatten(model(batch, training=True))
            loss = sum(tf.reduce_mean(tf.square(end - 0.3)) for end in ends)
        gradients = tape.gradient(loss, model.trainable_variables)
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
            assert gradient is not None and np.isfinite(gradient).all(), variable.path
        optimizer.apply(gradients, model.trainable_variables)


def certified(
    float_model: keras.Model,
    images: list[np.ndarray] | None = None,
    *,
    steps: int = 2,
    rate: float = 2.0**-6,
    policy: str = "INTEGER",
    calibrated: bool = False,
) -> Certified:
    """Goes the whole way; fails where a promise is broken.

    Args:
        float_model: of inputs of a known size, all bytes.
        images: uint8 [batch, H, W, C] for each input, two random ones by default; those of a step,
            and of the certificate.
        steps: of training.
        rate: of learning.
        policy: whose.
        calibrated: whether steps are those of the images, as `convert --steps=max` has them, and
            not the estimates of so short a training, which clip.
    """
    model = quantize(float_model, preset(policy))
    assert convolutions(model) == count_convolutions(float_model)
    images = images or random_images(model, 2)
    train(model, images, steps, rate=rate)
    if calibrated:
        hold_scales(model, calibrate(model, list(zip(*images, strict=True)), "max"))
    network = freeze(model, *model.inputs[0].shape[1:3])
    content = write_tflite(network)
    found = certify(network, model, content, zip(*images, strict=True))
    assert found.problems == ()
    assert found.file_twin.most == 0
    # tflite-micro has no TILE, and everything else that is written.
    lacks = any(isinstance(o, Repeat) for o in network.operations)
    assert (found.micro_twin is None) == lacks
    assert found.micro_why_not == ("it lacks an operation" if lacks else "")
    # A layer that is called several times stands in the file as often.
    names = {layer.name for layer in model.layers}
    assert {one.layer for one in network.convolutions} - {""} <= names
    assert all(one.equal for one in found.weights)
    return Certified(model, network, content, found)
