"""Promises: how many bits each operand of each product has, by the policies of a model's layers."""

import dataclasses

import keras

from tfquantseg.layers import QuantConv2D, QuantConv2DTranspose, QuantDepthwiseConv2D
from tfquantseg.numerics import PRODUCTS

FLOAT_BITS = 32

_LETTERS = {
    "forward": ("A", "W"),
    "input_gradient": ("W", "E"),
    "weight_gradient": ("A", "E"),
}


@dataclasses.dataclass(frozen=True)
class Promise:
    """What a layer's policy promises of an operand.

    Attributes:
        bits: at most so many; 32 where it may be float32.
        unsigned: whether its grid has no values below zero.
    """

    bits: int
    unsigned: bool = False

    @property
    def last(self) -> float:
        """The last integer of the grid."""
        return 2.0 ** (self.bits if self.unsigned else self.bits - 1) - 1


NOTHING = (Promise(FLOAT_BITS), Promise(FLOAT_BITS))
"""What is promised of the two operands of a kernel that is no quantized layer's."""


def promises_of(model: keras.Model) -> dict[tuple[str, str], tuple[Promise, Promise]]:
    """Returns what the policies of a model's layers promise of the operands of their kernels.

    Args:
        model: float or quantized.

    Returns:
        Of each quantized layer, by (its name, product), the promises of both operands.
    """
    promises: dict[tuple[str, str], tuple[Promise, Promise]] = {}
    for layer in model.layers:
        if not isinstance(layer, QuantConv2D | QuantDepthwiseConv2D | QuantConv2DTranspose):
            continue
        policy = layer.policy
        error_bits = {"E1": policy.k_E1, "E2": policy.k_E2, "none": None}[layer.error_grid]
        promise = {
            "A": Promise(policy.k_A or FLOAT_BITS, layer.A_unsigned),
            "W": Promise(policy.k_W or FLOAT_BITS),
            "E": Promise(error_bits or FLOAT_BITS),
        }
        for product in PRODUCTS:
            first, second = letters_of(model, layer.name, product)
            promises[layer.name, product] = promise[first], promise[second]
    return promises


def letters_of(model: keras.Model, name: str, product: str) -> tuple[str, str]:
    """Returns the letters of the two operands of a layer's product.

    Args:
        model: the layer's.
        name: of the layer.
        product: "forward", "input_gradient" or "weight_gradient".

    Returns:
        A and W, W and E, or A and E; the other way round where the convolution is transposed.
    """
    first, second = _LETTERS[product]
    transposed = (
        layer.name == name
        and isinstance(layer, QuantConv2DTranspose | keras.layers.Conv2DTranspose)
        for layer in model.layers
    )
    return (second, first) if any(transposed) else (first, second)
