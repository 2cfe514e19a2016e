"""The three products of a convolution, by TensorFlow's kernels or by own ones.

Both compute the same sums of products of integers and rescale them by the same float32 operations:

* output:           activation(conv(n_A, n_W) * scale + b)
* input gradient:   convT(n_E, n_W) * scale
* weight gradient:  corr(n_A, n_E) * scale

TensorFlow's kernels multiply integers that travel in float32; a sum is exact while its magnitude
stays below 2**24. The own ones (`tfquantseg.kernels`) take int8 and sum in 32 bits, exactly. So the
two agree in every bit wherever float32 sums are exact, and the first are the twin of the second.
"""

import dataclasses
from collections.abc import Callable
from types import ModuleType
from typing import Any, Literal, Protocol

import tensorflow as tf

from tfquantseg import kernels

Activation = Literal["linear", "relu", "relu6"]
Kind = Literal["conv2d", "depthwise", "transposed"]
Size = tuple[int | tf.Tensor, int | tf.Tensor]

WIDEST = 8
"""Bits of the integers that own kernels multiply."""


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Where a convolution's taps lie.

    Attributes:
        kind: "conv2d", "depthwise" or "transposed".
        strides: vertical and horizontal, pixels.
        padding: "SAME" or "VALID".
        dilations: vertical and horizontal, pixels.
    """

    kind: Kind
    strides: tuple[int, int]
    padding: Literal["SAME", "VALID"]
    dilations: tuple[int, int]


class Products(Protocol):
    """What computes the three products.

    Attributes:
        dtype: of the operands.
    """

    dtype: tf.DType

    def operand(self, integers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | float]:
        """Returns integers as the kernels take them, and 1, or NaN where they are not finite."""

    def output(
        self,
        n_a: tf.Tensor,
        n_w: tf.Tensor,
        scale: tf.Tensor,
        bias: tf.Tensor,
        activation: Activation,
        size: Size | None,
    ) -> tf.Tensor:
        """Returns activation(conv(n_A, n_W) * scale + b), float32 [N, H', W', out]."""

    def input_gradient(
        self, n_a: tf.Tensor, n_w: tf.Tensor, n_e: tf.Tensor, scale: tf.Tensor
    ) -> Any:
        """Returns convT(n_E, n_W) * scale, float32 of A's shape; of n_A only the shape is used."""

    def weight_gradient(
        self, n_a: tf.Tensor, n_w: tf.Tensor, n_e: tf.Tensor, scale: tf.Tensor
    ) -> tf.Tensor:
        """Returns corr(n_A, n_E) * scale, float32 of W's shape; of n_W only the shape is used."""


@dataclasses.dataclass(frozen=True)
class StockProducts:
    """TensorFlow's kernels on integers that travel in float32. Dilations are 1.

    Attributes:
        geometry: where the taps lie.
    """

    geometry: Geometry
    dtype = tf.float32

    def operand(self, integers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | float]:
        """Returns the integers as they are; a NaN among them reaches the sums."""
        return integers, 1.0

    def output(
        self,
        n_a: tf.Tensor,
        n_w: tf.Tensor,
        scale: tf.Tensor,
        bias: tf.Tensor,
        activation: Activation,
        size: Size | None,
    ) -> tf.Tensor:
        """Returns activation(conv(n_A, n_W) * scale + b)."""
        y = self._sums(n_a, n_w, size) * scale + bias
        if activation == "linear":
            return y
        return tf.nn.relu(y) if activation == "relu" else tf.nn.relu6(y)

    def _sums(self, n_a: tf.Tensor, n_w: tf.Tensor, size: Size | None) -> tf.Tensor:
        if self.geometry.kind == "conv2d":
            return tf.raw_ops.Conv2D(input=n_a, filter=n_w, **self._attributes())
        if self.geometry.kind == "depthwise":
            return tf.raw_ops.DepthwiseConv2dNative(input=n_a, filter=n_w, **self._attributes())
        assert size is not None
        return tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.stack([tf.shape(n_a)[0], *size, n_w.shape[2]]),
            filter=n_w,
            out_backprop=n_a,
            **self._attributes(),
        )

    def input_gradient(
        self, n_a: tf.Tensor, n_w: tf.Tensor, n_e: tf.Tensor, scale: tf.Tensor
    ) -> tf.Tensor:
        """Returns convT(n_E, n_W) * scale."""
        if self.geometry.kind == "transposed":
            return tf.raw_ops.Conv2D(input=n_e, filter=n_w, **self._attributes()) * scale
        operation: Callable[..., tf.Tensor] = (
            tf.raw_ops.Conv2DBackpropInput
            if self.geometry.kind == "conv2d"
            else tf.raw_ops.DepthwiseConv2dNativeBackpropInput
        )
        return (
            operation(input_sizes=tf.shape(n_a), filter=n_w, out_backprop=n_e, **self._attributes())
            * scale
        )

    def weight_gradient(
        self, n_a: tf.Tensor, n_w: tf.Tensor, n_e: tf.Tensor, scale: tf.Tensor
    ) -> tf.Tensor:
        """Returns corr(n_A, n_E) * scale."""
        if self.geometry.kind == "transposed":
            n_a, n_e = n_e, n_a
        operation: Callable[..., tf.Tensor] = (
            tf.raw_ops.DepthwiseConv2dNativeBackpropFilter
            if self.geometry.kind == "depthwise"
            else tf.raw_ops.Conv2DBackpropFilter
        )
        sizes = n_w.shape.as_list()
        return (
            operation(input=n_a, filter_sizes=sizes, out_backprop=n_e, **self._attributes()) * scale
        )

    def _attributes(self) -> dict[str, Any]:
        return {"strides": [1, *self.geometry.strides, 1], "padding": self.geometry.padding}


@dataclasses.dataclass(frozen=True)
class OwnProducts:
    """Own kernels on int8; not for depthwise convolutions.

    Attributes:
        geometry: where the taps lie.
        ops: what `tfquantseg.kernels.ops` returned.
    """

    geometry: Geometry
    ops: ModuleType
    dtype = tf.int8

    def operand(self, integers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | float]:
        """Returns int8, and 1, or NaN where the integers are not finite.

        Raises:
            tf.errors.InvalidArgumentError: when it runs, a value that is no integer -128..127.
        """
        return self.ops.tfquantseg_to_int8(integers)

    def output(
        self,
        n_a: tf.Tensor,
        n_w: tf.Tensor,
        scale: tf.Tensor,
        bias: tf.Tensor,
        activation: Activation,
        size: Size | None,
    ) -> tf.Tensor:
        """Returns activation(conv(n_A, n_W) * scale + b)."""
        if self.geometry.kind == "conv2d":
            return self.ops.tfquantseg_conv2d(
                n_a, n_w, scale, bias, activation=activation, **self._attributes()
            )
        assert size is not None
        sizes = tf.stack([tf.shape(n_a)[0], *size, n_w.shape[2]])
        y = self.ops.tfquantseg_conv2d_backprop_input(
            sizes, n_w, n_a, scale, bias, activation=activation, **self._attributes()
        )
        return tf.ensure_shape(y, [n_a.shape[0], *map(_static, size), n_w.shape[2]])

    def input_gradient(
        self, n_a: tf.Tensor, n_w: tf.Tensor, n_e: tf.Tensor, scale: tf.Tensor
    ) -> tf.Tensor:
        """Returns convT(n_E, n_W) * scale."""
        bias = tf.zeros([0])
        if self.geometry.kind == "transposed":
            return self.ops.tfquantseg_conv2d(n_e, n_w, scale, bias, **self._attributes())
        return self.ops.tfquantseg_conv2d_backprop_input(
            tf.shape(n_a), n_w, n_e, scale, bias, **self._attributes()
        )

    def weight_gradient(
        self, n_a: tf.Tensor, n_w: tf.Tensor, n_e: tf.Tensor, scale: tf.Tensor
    ) -> tf.Tensor:
        """Returns corr(n_A, n_E) * scale."""
        if self.geometry.kind == "transposed":
            n_a, n_e = n_e, n_a
        return self.ops.tfquantseg_conv2d_backprop_filter(
            n_a, n_e, scale, kernel_size=n_w.shape[:2].as_list(), **self._attributes()
        )

    def _attributes(self) -> dict[str, Any]:
        return {
            "strides": list(self.geometry.strides),
            "dilations": list(self.geometry.dilations),
            "padding": self.geometry.padding,
        }


def products(geometry: Geometry, widest: int | None) -> StockProducts | OwnProducts:
    """Returns what computes the products here: own kernels where they can, else TensorFlow's.

    Args:
        geometry: where the taps lie.
        widest: bits of the widest integers of A, W and E, None where they are not integers or not
            known.
    """
    ops = kernels.ops()
    if ops is None or geometry.kind == "depthwise" or widest is None or widest > WIDEST:
        return StockProducts(geometry)
    return OwnProducts(geometry, ops)


def _static(length: int | tf.Tensor) -> int | None:
    return length if isinstance(length, int) else None
