"""ResNet-50 for dense prediction, versions 1 and 2 of He et al. (arXiv:1512.03385, 1603.05027).

Layers are named as in `keras.applications.ResNet50` and `ResNet50V2`, whose weights fit. Where the
output would become coarser than the wanted stride, strides turn into dilations ("atrous", Chen et
al., arXiv:1706.05587): each convolution sees the same pixels as before, at more positions. So at
every position that the strided network computes, the dilated one computes the same features.

Version 1 strides in the first unit of a stage, in front of its 3 x 3 convolution; version 2 in the
last unit of the stage before it, in that convolution itself.

A convolution that batch norm follows has no bias: the mean takes it away again.
"""

import itertools
from collections.abc import Iterator

import keras
from keras import initializers, layers

UNITS = (3, 4, 6, 3)
"""Bottleneck units of the stages conv2 to conv5."""

VERSIONS = ("v1", "v2")
OUTPUT_STRIDES = (8, 16, 32)

_MOMENTUM = 0.95  # of the moving statistics, as the authors of arXiv:2011.14504 train it
_EPSILON = 1e-3  # the same


def features(
    x: keras.KerasTensor,
    *,
    version: str = "v1",
    width: int = 64,
    output_stride: int = 16,
    seeds: Iterator[int] | None = None,
) -> keras.KerasTensor:
    """Appends ResNet-50 without its classifier.

    Args:
        x: `[N, H, W, 3]`, sides multiples of `output_stride`.
        version: `"v1"`, or `"v2"` with pre-activation.
        width: channels of the first convolution; stage i has 4 width 2^i channels. 64 is
            ResNet-50's.
        output_stride: 8, 16 or 32, pixels from one feature to the next.
        seeds: the next one draws the kernel of each convolution (MSRA, arXiv:1502.01852).

    Returns:
        `[N, H / output_stride, W / output_stride, 32 width]`, behind ReLU.

    Raises:
        ValueError: an unknown version or output stride.
    """
    for name, received, accepted in (
        ("version", version, VERSIONS),
        ("output_stride", output_stride, OUTPUT_STRIDES),
    ):
        if received not in accepted:
            raise ValueError(
                f"{name} must be one of {', '.join(map(str, accepted))}, got {received!r}."
            )
    return _Builder(width, output_stride, seeds or itertools.count()).build(x, version)


class _Builder:
    """Appends layers, and keeps count of what the strides have become."""

    def __init__(self, width: int, output_stride: int, seeds: Iterator[int]) -> None:
        self._width = width
        self._output_stride = output_stride
        self._seeds = seeds
        self._stride = 4  # after conv1 and pool1
        self._dilation = 1

    def build(self, x: keras.KerasTensor, version: str) -> keras.KerasTensor:
        """Appends the stem and the four stages."""
        second = version == "v2"
        x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
        x = self._conv(x, self._width, 7, "conv1_conv", strides=2, padding="valid", bias=second)
        if not second:
            x = self._norm_relu(x, "conv1_bn", "conv1_relu")
        x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
        x = layers.MaxPooling2D(3, 2, name="pool1_pool")(x)
        for stage, units in enumerate(UNITS):
            for unit in range(units):
                name = f"conv{stage + 2}_block{unit + 1}"
                filters = self._width * 2**stage
                if second:
                    strides = 2 if unit == units - 1 and stage < 3 else 1
                    x = self._unit_v2(x, filters, name, strides, project=unit == 0)
                else:
                    strides = 2 if unit == 0 and stage > 0 else 1
                    x = self._unit_v1(x, filters, name, strides, project=unit == 0)
        return self._norm_relu(x, "post_bn", "post_relu") if second else x

    def _unit_v1(
        self, x: keras.KerasTensor, filters: int, name: str, strides: int, project: bool
    ) -> keras.KerasTensor:
        strides = self._stride_or_dilate(strides)
        shortcut = x
        if project:
            shortcut = self._conv(x, 4 * filters, 1, f"{name}_0_conv", strides=strides)
            shortcut = self._norm(shortcut, f"{name}_0_bn")
        x = self._conv(x, filters, 1, f"{name}_1_conv", strides=strides)
        x = self._norm_relu(x, f"{name}_1_bn", f"{name}_1_relu")
        x = self._conv(x, filters, 3, f"{name}_2_conv", dilation=self._dilation)
        x = self._norm_relu(x, f"{name}_2_bn", f"{name}_2_relu")
        x = self._norm(self._conv(x, 4 * filters, 1, f"{name}_3_conv"), f"{name}_3_bn")
        x = layers.Add(name=f"{name}_add")([shortcut, x])
        return layers.ReLU(name=f"{name}_out")(x)

    def _unit_v2(
        self, x: keras.KerasTensor, filters: int, name: str, strides: int, project: bool
    ) -> keras.KerasTensor:
        dilation = self._dilation
        strides = self._stride_or_dilate(strides)
        before = self._norm_relu(x, f"{name}_preact_bn", f"{name}_preact_relu")
        if project:
            x = self._conv(before, 4 * filters, 1, f"{name}_0_conv", bias=True)
        elif strides > 1:
            x = layers.MaxPooling2D(1, strides, name=f"{name}_0_pool")(x)
        y = self._conv(before, filters, 1, f"{name}_1_conv")
        y = self._norm_relu(y, f"{name}_1_bn", f"{name}_1_relu")
        y = layers.ZeroPadding2D(dilation, name=f"{name}_2_pad")(y)
        y = self._conv(
            y, filters, 3, f"{name}_2_conv", strides=strides, dilation=dilation, padding="valid"
        )
        y = self._norm_relu(y, f"{name}_2_bn", f"{name}_2_relu")
        y = self._conv(y, 4 * filters, 1, f"{name}_3_conv", bias=True)
        return layers.Add(name=f"{name}_out")([x, y])

    def _stride_or_dilate(self, strides: int) -> int:
        """Returns the stride, or 1 where the wanted output stride has been reached."""
        if self._stride * strides > self._output_stride:
            self._dilation *= strides
            return 1
        self._stride *= strides
        return strides

    def _conv(
        self,
        x: keras.KerasTensor,
        filters: int,
        size: int,
        name: str,
        *,
        strides: int = 1,
        dilation: int = 1,
        padding: str = "same",
        bias: bool = False,
    ) -> keras.KerasTensor:
        return layers.Conv2D(
            filters,
            size,
            strides,
            padding=padding,
            dilation_rate=dilation,
            use_bias=bias,
            kernel_initializer=initializers.HeNormal(next(self._seeds)),
            name=name,
        )(x)

    def _norm(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return layers.BatchNormalization(momentum=_MOMENTUM, epsilon=_EPSILON, name=name)(x)

    def _norm_relu(self, x: keras.KerasTensor, norm: str, relu: str) -> keras.KerasTensor:
        return layers.ReLU(name=relu)(self._norm(x, norm))
