"""Makes frozen operations of what is computed of real values beside convolutions and sums.

What multiplies by or adds constants folds as batch norm does: into the convolution in front of it,
or into a depthwise 1x1 of its own.
"""

import dataclasses
from typing import Any

import keras
import numpy as np

from tfquantseg.export import fold
from tfquantseg.export.fold import linear_convolution, of_two, scaled_and_shifted
from tfquantseg.export.frozen_values import Pixels, Real, Value, expect, no_form
from tfquantseg.export.functions import Function, Multiply, PRelu, Softmax, Subtract
from tfquantseg.layers import QuantPReLU, factor_and_offset
from tfquantseg.transform.activations import LOOKED_UP, function_name

_L = keras.layers


def affine(layer: Any, value: Any) -> Any:
    """Returns constants times and plus a tensor, folded into what makes it."""
    if isinstance(value, Pixels):
        return value  # The edge behind it knows the scale, or says that there is none.
    real = linear_convolution(layer, value)
    channels = real.shape[2]
    factor, offset = (np.broadcast_to(one, [channels]) for one in factor_and_offset(layer))
    return scaled_and_shifted(real, factor, np.zeros(channels), offset)


def activated(layer: Any, values: list[Any]) -> Any:
    """Returns what an activation layer computes, fused into what precedes it if it is a ReLU."""
    looked_up = function_name(layer.activation) in (*LOOKED_UP, "hard_sigmoid")
    return function(layer, values) if looked_up else fold.activated(layer, values)


def function(layer: Any, values: list[Any]) -> Any:
    """Returns an activation that is no ReLU: a table, a softmax, or constants and a ReLU."""
    name = function_name(layer.activation) if isinstance(layer, _L.Activation) else "softmax"
    if name == "hard_sigmoid":
        # x / 6 + 1/2 and a ReLU; above 255/256, as a sigmoid, it ends by itself.
        real = affine(layer, values[0])
        return dataclasses.replace(real, fields={**real.fields, "activation": "relu"})
    tensor = expect(values[0], Value, layer.name).tensor
    if name in ("sigmoid", "tanh", "gelu"):
        return Real(layer.name, Function, (tensor,), tensor.shape, {"kind": name})
    if getattr(layer, "axis", -1) not in (-1, 3):
        raise no_form(layer, f"is over axis {layer.axis}, not over the channels")
    return Real(layer.name, Softmax, (tensor,), tensor.shape, {})


def bent(layer: Any, values: list[Any]) -> Real:
    """Returns a leaky ReLU or PReLU, its slopes as int8."""
    tensor = expect(values[0], Value, layer.name).tensor
    channels = tensor.shape[2]
    if isinstance(layer, QuantPReLU):
        integers, step = layer.quantized_slopes()
    else:
        integers, step = np.full([channels], 127), layer.negative_slope / 127
    fields = {"slopes": integers.astype(np.int8), "slope_step": float(np.float32(step))}
    return Real(layer.name, PRelu, (tensor,), tensor.shape, fields)


def multiplied(operation: Any, values: list[Any]) -> Real:
    """Returns the product of two tensors."""
    return of_two(operation, values, Multiply, "multiplies")


def subtracted(operation: Any, values: list[Any]) -> Real:
    """Returns the difference of two tensors."""
    return of_two(operation, values, Subtract, "subtracts")
