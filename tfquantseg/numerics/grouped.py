"""The three products of a grouped convolution: those of each group, one after the other.

Output channel o of a convolution in g groups reads the input channels of group ``o // (out / g)``
only. TensorFlow's kernels lack a backward pass of that on some processors, and own kernels know no
groups; so each group is a convolution of its own, on the same integers.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from tfquantseg.numerics.activations import Activation

if TYPE_CHECKING:
    from tfquantseg.numerics.products import Products, Size

_CHANNELS = 3  # of activations and errors the channels, of kernels the output's


@dataclasses.dataclass(frozen=True)
class GroupedProducts:
    """`tfquantseg.numerics.products.Products` of a convolution in groups.

    Attributes:
        one: what computes the products of one group.
        groups: how many there are.
    """

    one: "Products"
    groups: int

    @property
    def dtype(self) -> tf.DType:
        """Of the operands."""
        return self.one.dtype

    def operand(self, integers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | float]:
        """Returns integers as the kernels take them, and 1, or NaN where they are not finite."""
        return self.one.operand(integers)

    def output(
        self,
        n_a: tf.Tensor,
        n_w: tf.Tensor,
        scale: tf.Tensor,
        bias: tf.Tensor,
        activation: Activation,
        size: "Size | None",
    ) -> tf.Tensor:
        """Returns activation(conv(n_A, n_W) * scale + b)."""
        scales = self._split(scale, 0) if scale.shape.rank else [scale] * self.groups
        return self._joined(
            lambda a, w, s, b: self.one.output(a, w, s, b, activation, size),
            self._split(n_a),
            self._split(n_w),
            scales,
            self._split(bias, 0),
        )

    def input_gradient(
        self, n_a: tf.Tensor, n_w: tf.Tensor, n_e: tf.Tensor, scale: tf.Tensor
    ) -> tf.Tensor:
        """Returns convT(n_E, n_W) * scale."""
        return self._joined(
            lambda a, w, e: self.one.input_gradient(a, w, e, scale),
            *map(self._split, (n_a, n_w, n_e)),
        )

    def weight_gradient(
        self, n_a: tf.Tensor, n_w: tf.Tensor, n_e: tf.Tensor, scale: tf.Tensor
    ) -> tf.Tensor:
        """Returns corr(n_A, n_E) * scale."""
        return self._joined(
            lambda a, w, e: self.one.weight_gradient(a, w, e, scale),
            *map(self._split, (n_a, n_w, n_e)),
        )

    def _split(self, x: tf.Tensor, axis: int = _CHANNELS) -> list[tf.Tensor]:
        return tf.split(x, self.groups, axis)

    def _joined(self, product: Callable[..., tf.Tensor], *operands: Any) -> tf.Tensor:
        """Returns the products of all groups along the channels."""
        return tf.concat([product(*one) for one in zip(*operands, strict=True)], _CHANNELS)
