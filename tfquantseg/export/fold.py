"""Folds what training computed on real values between integers and the next edge.

A convolution with its batch norm and activation, a sum, an average: each becomes one integer
operation, whose step is that of the edge behind it.

    batch norm    f = gamma_q / (sigma_q + eps),  s_W' = s_W |f|,  W' = sign(f) W_q,
                  b' = (b - mu_q) f + beta_q                                            (Eq 12, 14)

A channel whose gamma is 0 gets weights 0 and the bias beta_q.
"""

import dataclasses
from typing import Any

import keras
import numpy as np

from tfquantseg.export.frozen_values import Integers, Real, Value, expect, no_form
from tfquantseg.export.network import (
    Activation,
    Add,
    Convolution,
    Mean,
    Operation,
    Requantize,
    Shape,
    Tensor,
    along_channels,
)
from tfquantseg.layers import BatchNorm

_L = keras.layers


def convolved(layer: Any, values: list[Any]) -> Real:
    """Returns the sums of a convolution, with its bias and activation."""
    tensor = expect(values[0], Integers, layer.name).tensor
    policy = layer.policy
    if policy.k_W != 8:
        raise ValueError(f"{layer.name!r}: weights of {policy.k_W} bits; files hold 8.")
    if layer.policy.rounding != "half_away":
        raise ValueError(
            f"{layer.name!r}: policy {policy.name} rounds {policy.rounding}, devices round "
            "half_away; train with a policy that rounds as they do, such as INTEGER."
        )
    integers, steps = layer.quantized_kernel()
    filters = layer.filters
    bias = np.zeros(filters) if layer.bias is None else layer.bias.numpy().astype(np.float64)
    return Real(
        layer.name,
        Convolution,
        (tensor,),
        _convolution_shape(layer, tensor.shape),
        {
            "layer": layer.name,
            "kind": layer.kind,
            "signs": np.ones(filters, np.int8),
            "weights": integers.numpy().astype(np.int8),
            "weight_steps": np.broadcast_to(steps.numpy().reshape(-1), [filters]).copy(),
            "bias": bias,
            "strides": layer.strides,
            "dilations": layer.dilation_rate,
            "padding": layer.padding.upper(),
            "activation": layer.activation,
        },
    )


def normed(layer: BatchNorm, values: list[Any]) -> Real:
    """Returns a batch norm folded into the convolution before it, or as one of its own."""
    if layer.policy.k_x_hat is not None:
        raise ValueError(
            f"{layer.name!r}: policy {layer.policy.name} keeps x_hat on a grid of "
            f"{layer.policy.k_x_hat} bits, which no device does; train with k_x_hat=None."
        )
    mu, sigma, gamma, beta = layer.quantized_statistics()
    factor = gamma.astype(np.float64) / (sigma.astype(np.float64) + layer.epsilon)
    return scaled_and_shifted(linear_convolution(layer, values[0]), factor, mu, beta)


def linear_convolution(layer: Any, value: Any) -> Real:
    """Returns the convolution that constants fold into: the one in front, or one of 1 x 1."""
    if isinstance(value, Value):
        value = _as_convolution(layer.name, value.tensor)
    real = expect(value, Real, layer.name)
    if real.kind is not Convolution or real.fields["activation"] != "linear":
        raise no_form(layer, "follows no convolution and no 8-bit tensor")
    return real


def scaled_and_shifted(real: Real, factor: np.ndarray, less: np.ndarray, plus: np.ndarray) -> Real:
    """Returns a linear convolution's ``(y - less) * factor + plus``, as a convolution.

    Args:
        real: the convolution.
        factor: float64 [C], of any sign.
        less: [C].
        plus: [C].
    """
    weights, steps = real.fields["weights"], real.fields["weight_steps"]
    kind = real.fields["kind"]
    signs = np.sign(factor).astype(np.int8)
    folded = steps.astype(np.float64) * np.where(factor == 0, 1.0, np.abs(factor))
    fields = {
        **real.fields,
        "signs": real.fields["signs"] * signs,
        "weights": weights * along_channels(kind, weights, signs),
        "weight_steps": folded.astype(np.float32),
        "bias": (real.fields["bias"] - less) * factor + plus,
    }
    return dataclasses.replace(real, fields=fields)


def activated(operation: Any, values: list[Any]) -> Any:
    """Returns an activation fused into what precedes it."""
    value, activation = values[0], _activation(operation)
    if activation == "linear":
        return value
    if isinstance(value, Value) and activation == "relu6":
        value = _as_convolution(operation.name, value.tensor)  # RELU6 of tflite-micro keeps steps
    if isinstance(value, Value):
        tensor = value.tensor
        return Real(operation.name, Requantize, (tensor,), tensor.shape, {"activation": activation})
    real = expect(value, Real, operation.name)
    if real.fields.get("activation") != "linear":
        raise no_form(operation, "follows an operation that takes no activation")
    return dataclasses.replace(real, fields={**real.fields, "activation": activation})


def product(operation: Any, values: list[Any]) -> Value:
    """Returns the real values of a pair."""
    return Value(expect(values[0], Integers, operation.name).tensor)


def total(operation: Any, values: list[Any]) -> Real:
    """Returns the sum of two tensors."""
    return of_two(operation, values, Add, "adds")


def of_two(operation: Any, values: list[Any], kind: type[Operation], verb: str) -> Real:
    """Returns an operation of two tensors, of which one may have a single position or channel."""
    tensors = tuple(expect(value, Value, operation.name).tensor for value in values)
    shape = max(tensor.shape for tensor in tensors)
    accepted = (shape, (1, 1, shape[2]), (*shape[:2], 1))
    if len(tensors) != 2 or any(tensor.shape not in accepted for tensor in tensors):
        raise no_form(
            operation,
            f"{verb} {len(tensors)} tensors of {[t.shape for t in tensors]}; accepted are two, "
            "alike or one of them with a single position or a single channel",
        )
    return Real(operation.name, kind, tensors, shape, {"activation": "linear"})


def mean(operation: Any, values: list[Any]) -> Real:
    """Returns the average over all positions, [1, 1, C] even where the layer drops the ones."""
    tensor = expect(values[0], Value, operation.name).tensor
    axes = getattr(operation, "axis", (1, 2))  # of an op; the layer averages over these
    if sorted(one % 4 for one in np.atleast_1d([] if axes is None else axes)) != [1, 2]:
        raise no_form(operation, f"averages over {axes}; use height and width, (1, 2)")
    return Real(operation.name, Mean, (tensor,), (1, 1, tensor.shape[2]), {})


def _activation(operation: Any) -> Activation:
    """What an activation layer or op computes."""
    if isinstance(operation, _L.ReLU):
        return "relu6" if operation.max_value is not None else "relu"
    name = type(operation).__name__.lower()
    if isinstance(operation, _L.Activation):
        name = getattr(operation.activation, "__name__", "")
    known: dict[str, Activation] = {"linear": "linear", "relu": "relu", "relu6": "relu6"}
    if name not in known:
        raise no_form(operation, f"computes {name!r}, which has no 8-bit form")
    return known[name]


def _as_convolution(name: str, tensor: Tensor) -> Real:
    """A batch norm's input as a depthwise convolution with one tap; 127 leaves the bias bits."""
    channels = tensor.shape[2]
    return Real(
        name,
        Convolution,
        (tensor,),
        tensor.shape,
        {
            "layer": "",
            "kind": "depthwise",
            "signs": np.ones(channels, np.int8),
            "weights": np.full([1, 1, channels, 1], 127, np.int8),
            "weight_steps": np.full([channels], 1 / 127, np.float32),
            "bias": np.zeros([channels]),
            "strides": (1, 1),
            "dilations": (1, 1),
            "padding": "VALID",
            "activation": "linear",
        },
    )


def _convolution_shape(layer: Any, shape: Shape) -> Shape:
    height, width = layer.compute_output_shape([(1, *shape), ()])[1:3]
    if height < 1 or width < 1:
        raise ValueError(
            f"{layer.name!r} gets {shape[0]} x {shape[1]} positions, fewer than its kernel needs; "
            "give a larger height and width."
        )
    return height, width, layer.filters
