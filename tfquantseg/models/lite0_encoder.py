"""EfficientNet-Lite0 for dense prediction: EfficientNet (Tan and Le, arXiv:1905.11946) for devices.

It is EfficientNet-B0 without what 8-bit hardware has no operator for: ReLU6 in place of swish, and
no squeeze-and-excite. Its blocks are MobileNetV2's (Sandler et al., arXiv:1801.04381): a 1 x 1
convolution expands the channels, a depthwise one looks around, a 1 x 1 one projects back, and the
block's input is added where there is no change of size.

Padding is SAME, as where the weights were trained: a stride of 2 pads behind more than in front, so
that position i sees the window around pixel 2 i + 1. Where the output would become coarser than the
wanted stride, a stride turns into a dilation ("atrous", Chen et al., arXiv:1706.05587): each
convolution sees the same as before, at more positions, of which the odd ones are those before.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import keras
from keras import initializers, layers

OUTPUT_STRIDES = (16, 32)

_MOMENTUM = 0.95  # of the moving statistics; the weights' own 0.99 is too slow for fine-tuning
_EPSILON = 1e-3
_STEM = 32


class Stage(NamedTuple):
    """Blocks of one shape; the first of them has the stride."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    filters: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class Features(NamedTuple):
    """What the encoder sees; no activation follows either.

    Attributes:
        fine: `[N, H / 8, W / 8, 40]`.
        coarse: `[N, H / output_stride, W / output_stride, 320]`.
    """

    fine: keras.KerasTensor
    coarse: keras.KerasTensor


def features(
    x: keras.KerasTensor, *, output_stride: int = 16, seeds: Iterator[int] | None = None
) -> Features:
    """Appends EfficientNet-Lite0 without its classifier.

    Args:
        x: `[N, H, W, 3]`, sides multiples of `output_stride`.
        output_stride: 16 or 32, pixels from one feature to the next.
        seeds: the next one draws the kernel of each convolution.

    Returns:
        Features at stride 8 and at the output stride.

    Raises:
        ValueError: another output stride.
    """
    if output_stride not in OUTPUT_STRIDES:
        accepted = ", ".join(map(str, OUTPUT_STRIDES))
        raise ValueError(f"output_stride must be one of {accepted}, got {output_stride!r}.")
    seeds = seeds or itertools.count()
    x = unit(x, _STEM, "stem", seeds, size=3, strides=2)
    stride, dilation, number = 2, 1, 0
    by_stride = {}
    for stage in STAGES:
        for index in range(stage.blocks):
            strides = stage.stride if index == 0 else 1
            # A stride that becomes a dilation does so for the convolutions behind it.
            seen, shortcut = dilation, x if index else None
            if stride * strides > output_stride:
                dilation, strides = dilation * strides, 1
            stride *= strides
            x = _block(x, stage, f"block{number}", seeds, strides, seen)
            if shortcut is not None:
                x = layers.Add(name=f"block{number}_add")([shortcut, x])
            number += 1
            by_stride[stride] = x
    return Features(by_stride[8], x)


def unit(
    x: keras.KerasTensor,
    filters: int,
    name: str,
    seeds: Iterator[int],
    *,
    size: int = 1,
    strides: int = 1,
    relu6: bool = True,
) -> keras.KerasTensor:
    """Appends a convolution, batch norm, and ReLU6.

    Args:
        x: `[N, h, w, C]`.
        filters: channels of the output.
        name: of the convolution.
        seeds: the next one draws the kernel (MSRA, arXiv:1502.01852).
        size: height and width of the kernel.
        strides: 2 halves the resolution.
        relu6: False leaves ReLU6 out.

    Returns:
        `[N, h / strides, w / strides, filters]`.
    """
    x = layers.Conv2D(
        filters,
        size,
        strides,
        padding="same",
        use_bias=False,
        kernel_initializer=initializers.HeNormal(next(seeds)),
        name=name,
    )(x)
    return _norm(x, name, relu6)


def depthwise(
    x: keras.KerasTensor,
    size: int,
    name: str,
    seeds: Iterator[int],
    *,
    strides: int = 1,
    dilation: int = 1,
) -> keras.KerasTensor:
    """Appends a depthwise convolution, batch norm, and ReLU6.

    Args:
        x: `[N, h, w, C]`.
        size: height and width of the kernel.
        name: of the convolution.
        seeds: the next one draws the kernel, of standard deviation sqrt(2) / size: MSRA's, where
            each output sees one channel.
        strides: 2 halves the resolution.
        dilation: distance of the kernel's taps.

    Returns:
        `[N, h / strides, w / strides, C]`.
    """
    x = layers.DepthwiseConv2D(
        size,
        strides,
        padding="same",
        dilation_rate=dilation,
        use_bias=False,
        depthwise_initializer=initializers.RandomNormal(0.0, 2**0.5 / size, next(seeds)),
        name=name,
    )(x)
    return _norm(x, name, relu6=True)


def _block(
    x: keras.KerasTensor,
    stage: Stage,
    name: str,
    seeds: Iterator[int],
    strides: int,
    dilation: int,
) -> keras.KerasTensor:
    """Appends a block without its shortcut."""
    if stage.expansion > 1:
        x = unit(x, stage.expansion * x.shape[-1], f"{name}_expand", seeds)
    x = depthwise(x, stage.kernel, f"{name}_depthwise", seeds, strides=strides, dilation=dilation)
    return unit(x, stage.filters, f"{name}_project", seeds, relu6=False)


def _norm(x: keras.KerasTensor, name: str, relu6: bool) -> keras.KerasTensor:
    x = layers.BatchNormalization(momentum=_MOMENTUM, epsilon=_EPSILON, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if relu6 else x
