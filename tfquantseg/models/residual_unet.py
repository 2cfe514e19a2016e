"""A small encoder and decoder with batch norm: the default network, quick on a CPU.

It has one of each thing that segmentation networks are made of: strided convolutions and a pooling
on the way down, residual additions (He et al., arXiv:1512.03385) at its lowest resolution, a
bilinear and two transposed enlargements on the way up, and skips from the encoder (Ronneberger et
al., arXiv:1505.04597), one concatenated and one added.
"""

import itertools
from collections.abc import Iterator

import keras
from keras import initializers, layers

from tfquantseg.models import framing

_STRIDE = 8


def residual_unet(
    classes: int,
    *,
    input_size: framing.Size | None = None,
    width: int = 16,
    seed: int = 0,
) -> keras.Model:
    """Builds the network: three halvings, channels width, 2 width and 8 width.

    All convolutions but the last have no bias and are followed by batch norm (momentum 0.9,
    epsilon 1e-3) and ReLU. Kernels start with MSRA's standard deviation sqrt(2 / fan_in) (He et
    al., arXiv:1502.01852), the last with sqrt(1 / fan_in), as no ReLU follows it.

    Args:
        classes: number of classes, at least 2.
        input_size: height and width in pixels, at least 32 each; sides that are no multiple of 8
            are padded and the logits cropped inside the model. None accepts images of any size
            whose sides are multiples of 8.
        width: channels at half the resolution.
        seed: of the initial weights.

    Returns:
        The model, float32 `[N, H, W, 3]` RGB 0..255 to logits `[N, H, W, classes]`.

    Raises:
        ValueError: an argument out of range.
    """
    framing.check_at_least("classes", classes, 2, "segmentation tells classes apart")
    framing.check_at_least("width", width, 1, "channels at half the resolution")
    seeds = itertools.count(1000 * seed)
    pixels, x = framing.image(input_size, _STRIDE)

    x = _unit(x, width, "stem", seeds, strides=2)
    half = x = _unit(x, width, "half", seeds)
    x = _unit(x, 2 * width, "down4", seeds, strides=2)
    quarter = x = _unit(x, 2 * width, "quarter", seeds)
    x = layers.MaxPooling2D(2, name="down8")(x)
    x = _unit(x, 8 * width, "eighth", seeds)
    x = _residual(x, 8 * width, "residual1", seeds)
    x = _residual(x, 8 * width, "residual2", seeds)

    x = layers.UpSampling2D(2, interpolation="bilinear", name="up4")(x)
    x = layers.Concatenate(name="join4")([x, quarter])
    x = _unit(x, 2 * width, "decode4", seeds)
    x = _unit(x, width, "up2", seeds, enlarge=True)
    x = layers.Add(name="join2")([x, half])
    x = _unit(x, width, "decode2", seeds)
    x = layers.Conv2DTranspose(
        classes,
        4,
        2,
        padding="same",
        use_bias=False,
        kernel_initializer=initializers.VarianceScaling(
            1.0, "fan_in", "truncated_normal", next(seeds)
        ),
        name="logits",
    )(x)
    return keras.Model(pixels, framing.crop(x, input_size, _STRIDE), name="residual_unet")


def _unit(
    x: keras.KerasTensor,
    filters: int,
    name: str,
    seeds: Iterator[int],
    *,
    strides: int = 1,
    enlarge: bool = False,
    relu: bool = True,
) -> keras.KerasTensor:
    """Appends a convolution, 3 x 3 or transposed 4 x 4, batch norm, and ReLU.

    Args:
        x: `[N, h, w, C]`.
        filters: channels of the output.
        name: of the convolution.
        seeds: the next one draws the kernel.
        strides: 2 halves the resolution.
        enlarge: doubles the resolution by a transposed convolution.
        relu: False leaves ReLU to a later addition.

    Returns:
        `[N, h', w', filters]`.
    """
    initial = initializers.HeNormal(next(seeds))
    if enlarge:
        convolution = layers.Conv2DTranspose(
            filters,
            4,
            2,
            padding="same",
            use_bias=False,
            kernel_initializer=initial,
            name=name,
        )
    else:
        convolution = layers.Conv2D(
            filters,
            3,
            strides,
            padding="same",
            use_bias=False,
            kernel_initializer=initial,
            name=name,
        )
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_bn")(convolution(x))
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x


def _residual(
    x: keras.KerasTensor, filters: int, name: str, seeds: Iterator[int]
) -> keras.KerasTensor:
    """Appends two convolutions beside the identity, added, then ReLU."""
    branch = _unit(x, filters, f"{name}_a", seeds)
    branch = _unit(branch, filters, f"{name}_b", seeds, relu=False)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([branch, x]))
