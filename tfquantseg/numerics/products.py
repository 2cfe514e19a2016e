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
from typing import Any, Literal, NamedTuple, Protocol

import tensorflow as tf

from tfquantseg import kernels
from tfquantseg.numerics.activations import Activation, activate
from tfquantseg.numerics.fused import encoded_bytes, made_by
from tfquantseg.numerics.grouped import GroupedProducts

Kind = Literal["conv2d", "depthwise", "transposed"]
Size = tuple[int | tf.Tensor, int | tf.Tensor]

_OUTPUTS = {
    "TfquantsegConv2D": "tfquantseg_conv2d",
    "TfquantsegConv2DBackpropInput": "tfquantseg_conv2d_backprop_input",
}
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
        groups: parts of the channels that do not see each other; of a "conv2d" only.
    """

    kind: Kind
    strides: tuple[int, int]
    padding: Literal["SAME", "VALID"]
    dilations: tuple[int, int]
    groups: int = 1


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
    """TensorFlow's kernels on integers that travel in float32.

    TensorFlow's dilated kernels lack a backward pass on some processors, and the depthwise one is
    wrong on others. So a dilated convolution is a dense one on every d-th pixel: the pixels between
    are moved into the batch, and back.

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
        dense = self._dense(n_a, n_w)
        sums = dense.back(self._sums(dense.spread(n_a), n_w, size), dense.crops)
        return activate(sums * scale + bias, activation)

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
        dense = self._dense(n_a, n_w)
        sums = operation(
            input_sizes=tf.shape(dense.spread(n_a)),
            filter=n_w,
            out_backprop=dense.spread(n_e, dense.crops),
            **self._attributes(),
        )
        return dense.back(sums) * scale

    def weight_gradient(
        self, n_a: tf.Tensor, n_w: tf.Tensor, n_e: tf.Tensor, scale: tf.Tensor
    ) -> tf.Tensor:
        """Returns corr(n_A, n_E) * scale."""
        dense = self._dense(n_a, n_w)
        n_a, n_e = dense.spread(n_a), dense.spread(n_e, dense.crops)
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
        dilated = self.geometry.dilations != (1, 1)
        padding = "VALID" if dilated else self.geometry.padding
        return {"strides": [1, *self.geometry.strides, 1], "padding": padding}

    def _dense(self, n_a: tf.Tensor, n_w: tf.Tensor) -> "_Spread":
        block = self.geometry.dilations
        if block == (1, 1):
            return _Spread(block, None, None)
        reach = [(taps - 1) * d for taps, d in zip(n_w.shape[:2], block, strict=True)]
        if self.geometry.padding == "VALID":
            reach = [0, 0]
        size = n_a.shape[1:3]
        paddings, crops = tf.required_space_to_batch_paddings(
            size if size.is_fully_defined() else tf.shape(n_a)[1:3],
            block,
            [[length // 2, length - length // 2] for length in reach],
        )
        return _Spread(block, paddings, crops)


class _Spread(NamedTuple):
    """How pixels move into the batch, so that those of one dilation apart are neighbours.

    Attributes:
        block: the dilations; (1, 1) leaves pixels where they are.
        paddings: zeros around the input.
        crops: what to cut off the output.
    """

    block: tuple[int, int]
    paddings: tf.Tensor | None
    crops: tf.Tensor | None

    def spread(self, x: tf.Tensor, zeros: tf.Tensor | None = None) -> tf.Tensor:
        if self.block == (1, 1):
            return x
        return tf.space_to_batch(x, self.block, self.paddings if zeros is None else zeros)

    def back(self, x: tf.Tensor, cut: tf.Tensor | None = None) -> tf.Tensor:
        if self.block == (1, 1):
            return x
        return tf.batch_to_space(x, self.block, self.paddings if cut is None else cut)


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
        encoded = encoded_bytes(self.ops, integers)
        return self.ops.tfquantseg_to_int8(integers) if encoded is None else encoded

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


def products(
    geometry: Geometry, widest: int | None
) -> StockProducts | OwnProducts | GroupedProducts:
    """Returns what computes the products here: own kernels where they can, else TensorFlow's.

    Args:
        geometry: where the taps lie.
        widest: bits of the widest integers of A, W and E, None where they are not integers or not
            known.
    """
    if geometry.groups > 1:
        one = _products_of_all(dataclasses.replace(geometry, groups=1), widest)
        return GroupedProducts(one, geometry.groups)
    return _products_of_all(geometry, widest)


def _products_of_all(geometry: Geometry, widest: int | None) -> StockProducts | OwnProducts:
    ops = kernels.ops()
    if ops is None or geometry.kind == "depthwise" or widest is None or widest > WIDEST:
        return StockProducts(geometry)
    return OwnProducts(geometry, ops)


def convolved_again(ops: ModuleType, output: tf.Tensor, after: tf.Tensor) -> tf.Tensor:
    """Returns the output of an own convolution, computed anew, so that it need not be kept.

    The operands, int8, are kept for the backward products anyway.

    Args:
        ops: what `tfquantseg.kernels.ops` returned.
        output: any tensor.
        after: float32; computed first. An error, say, that arrives in the backward pass.

    Returns:
        The same values; the tensor itself in eager execution, and where it is no own convolution's.
    """
    operation = made_by(output)
    if operation is None or operation.type not in _OUTPUTS:
        return output
    attributes = ("strides", "dilations", "padding", "activation")
    # Without the dependency TensorFlow would see that the two are the same, and keep the first.
    with tf.control_dependencies([after]):
        return getattr(ops, _OUTPUTS[operation.type])(
            *operation.inputs, **{name: operation.get_attr(name) for name in attributes}
        )


def _static(length: int | tf.Tensor) -> int | None:
    return length if isinstance(length, int) else None
