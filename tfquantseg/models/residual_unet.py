"""A small encoder and decoder with batch norm: the default network, quick on a CPU.

It has one of each thing that segmentation networks are made of: strided convolutions and a pooling
on the way down; residual additions (He et al., arXiv:1512.03385) at the lowest resolution; a
bilinear enlargement and a skip that concatenates (Ronneberger et al., arXiv:1505.04597); and, as in
FCN (Long et al., arXiv:1411.4038), class scores at two resolutions that are added, and a transposed
convolution that starts bilinear. The added scores let the low resolution say which class it is and
the high one where it ends. A plain U-Net, which has to carry the class through its decoder's narrow
last layers, takes several times as many steps to tell the first digits apart.
"""

import itertools
from collections.abc import Iterator

import keras
from keras import initializers, layers

from tfquantseg.models import framing
from tfquantseg.models.bilinear import bilinear_kernel

_STRIDE = 8


def residual_unet(
    classes: int,
    *,
    input_size: framing.Size | None = None,
    width: int = 16,
    seed: int = 0,
) -> keras.Model:
    """Builds a small residual U-Net, the default network, which trains within minutes on a CPU.

    It halves its input three times, with width, 2 width, 4 width and 8 width channels.
    Convolutions are 3 x 3 without a bias, followed by batch norm (momentum 0.9, epsilon 1e-3) and
    ReLU, and start with MSRA's standard deviation sqrt(2 / fan_in) (He et al., arXiv:1502.01852).
    The two 1 x 1 convolutions that score the classes have a bias, and sqrt(1 / fan_in), as no ReLU
    follows them.

    Args:
        classes: number of classes, at least 2.
        input_size: height and width in pixels, at least 32 each; sides that are no multiple of 8
            are padded and the logits cropped inside the model. None accepts images of any size
            whose sides are multiples of 8.
        width: channels of the first convolution.
        seed: of the initial weights.

    Returns:
        The model, float32 `[N, H, W, 3]` RGB 0..255 to logits `[N, H, W, classes]`.

    Raises:
        ValueError: an argument out of range.
    """
    framing.check_at_least("classes", classes, 2, "segmentation tells classes apart")
    framing.check_at_least("width", width, 1, "channels of the first convolution")
    seeds = itertools.count(1000 * seed)
    pixels, x = framing.image(input_size, _STRIDE)

    x = _unit(x, width, "stem", seeds, strides=2)
    half = x = _unit(x, 2 * width, "half", seeds)
    x = _unit(x, 4 * width, "down4", seeds, strides=2)
    quarter = x = _unit(x, 4 * width, "quarter", seeds)
    x = layers.MaxPooling2D(2, name="down8")(x)
    x = _unit(x, 8 * width, "eighth", seeds)
    x = _residual(x, 8 * width, "residual1", seeds)
    x = _residual(x, 8 * width, "residual2", seeds)

    x = layers.UpSampling2D(2, interpolation="bilinear", name="up4")(x)
    x = layers.Concatenate(name="join4")([x, quarter])
    x = _unit(x, 4 * width, "decode4", seeds)
    x = _score(x, classes, "score4", seeds)
    x = layers.UpSampling2D(2, interpolation="bilinear", name="up2")(x)
    x = layers.Add(name="join2")([x, _score(half, classes, "score2", seeds)])
    enlarge = layers.Conv2DTranspose(classes, 4, 2, padding="same", use_bias=False, name="up1")
    x = enlarge(x)
    enlarge.kernel.assign(bilinear_kernel(2, classes))
    return keras.Model(pixels, framing.crop(x, input_size, _STRIDE), name="residual_unet")


def _unit(
    x: keras.KerasTensor,
    filters: int,
    name: str,
    seeds: Iterator[int],
    *,
    strides: int = 1,
    relu: bool = True,
) -> keras.KerasTensor:
    """Appends a 3 x 3 convolution, batch norm, and ReLU.

    Args:
        x: `[N, h, w, C]`.
        filters: channels of the output.
        name: of the convolution.
        seeds: the next one draws the kernel.
        strides: 2 halves the resolution.
        relu: False leaves ReLU to a later addition.

    Returns:
        `[N, h / strides, w / strides, filters]`.
    """
    x = layers.Conv2D(
        filters,
        3,
        strides,
        padding="same",
        use_bias=False,
        kernel_initializer=initializers.HeNormal(next(seeds)),
        name=name,
    )(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x


def _residual(
    x: keras.KerasTensor, filters: int, name: str, seeds: Iterator[int]
) -> keras.KerasTensor:
    """Appends two convolutions beside the identity, added, then ReLU."""
    branch = _unit(x, filters, f"{name}_a", seeds)
    branch = _unit(branch, filters, f"{name}_b", seeds, relu=False)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([branch, x]))


def _score(
    x: keras.KerasTensor, classes: int, name: str, seeds: Iterator[int]
) -> keras.KerasTensor:
    """Appends a 1 x 1 convolution that scores the classes."""
    initial = initializers.VarianceScaling(1.0, "fan_in", "truncated_normal", next(seeds))
    return layers.Conv2D(classes, 1, kernel_initializer=initial, name=name)(x)
