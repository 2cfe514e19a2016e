"""The networks that are measured, each with the size and the batch that it is trained with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import keras
from keras import initializers, layers

from tfquantseg import models
from tfquantseg.models import framing
from tfquantseg.names import unknown_name

CLASSES = 11
"""As many as the data sets digits and CamVid have."""

_CONVOLUTIONS = 10
_CHANNELS = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """A network and how it is measured.

    Attributes:
        name: of the network.
        about: what it is, in a few words.
        build: makes the float model for images of (height, width) pixels.
        size: height and width in pixels, by default.
        batch: images a training step, by default.
        paper: the preset that is the paper's letter for it.
    """

    name: str
    about: str
    build: Callable[[framing.Size], keras.Model]
    size: framing.Size
    batch: int
    paper: str


def network(name: str) -> Network:
    """Returns the network of this name.

    Raises:
        ValueError: there is none, with the nearest name.
    """
    if name not in _NETWORKS:
        raise unknown_name("network", name, _NETWORKS)
    return _NETWORKS[name]


def names() -> tuple[str, ...]:
    """Returns the names that `network` accepts, the smallest network first."""
    return tuple(_NETWORKS)


def ten_convolutions(size: framing.Size) -> keras.Model:
    """Builds ten 3 x 3 convolutions of 32 channels at full size, each with batch norm and ReLU.

    A 1 x 1 convolution scores the classes. There is nothing else in it: what it costs is what
    convolutions cost.

    Args:
        size: height and width in pixels.

    Returns:
        The model, float32 `[N, H, W, 3]` RGB 0..255 to logits `[N, H, W, 11]`.
    """
    pixels, x = framing.image(size, 1)
    for index in range(1, _CONVOLUTIONS + 1):
        x = layers.Conv2D(
            _CHANNELS,
            3,
            padding="same",
            use_bias=False,
            kernel_initializer=initializers.HeNormal(index),
            name=f"conv{index}",
        )(x)
        x = layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"conv{index}_bn")(x)
        x = layers.ReLU(name=f"conv{index}_relu")(x)
    initial = initializers.VarianceScaling(1.0, "fan_in", "truncated_normal", 0)
    logits = layers.Conv2D(CLASSES, 1, kernel_initializer=initial, name="logits")(x)
    return keras.Model(pixels, logits, name="ten_convolutions")


_NETWORKS = {
    one.name: one
    for one in (
        Network(
            name="residual_unet",
            about="the default network, width 16",
            build=lambda size: models.residual_unet(CLASSES, input_size=size),
            size=(96, 96),
            batch=8,
            paper="PAPER_DEEPLAB",
        ),
        Network(
            name="ten_convolutions",
            about="ten 3 x 3 convolutions of 32 channels at full size, with batch norm and ReLU",
            build=ten_convolutions,
            size=(256, 256),
            batch=8,
            paper="PAPER_DEEPLAB",
        ),
        Network(
            name="fcn8s_vgg16",
            about="FCN8s on VGG16, 512 channels in fc6 and fc7",
            build=lambda size: models.fcn8s_vgg16(CLASSES, input_size=size, fc_width=512),
            size=(192, 256),
            batch=4,
            paper="PAPER_FCN",
        ),
        Network(
            name="deeplabv3_resnet50",
            about="DeepLabv3 on ResNet-50, width 64, output stride 16",
            build=lambda size: models.deeplabv3_resnet50(CLASSES, input_size=size),
            size=(240, 320),
            batch=4,
            paper="PAPER_DEEPLAB",
        ),
    )
}
