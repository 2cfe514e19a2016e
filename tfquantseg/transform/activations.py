"""Activations and constants in the few forms that the plan knows, however a model wrote them.

* ``silu(x)`` and ``hard_silu(x)`` (swish and hard_swish) become ``x * gate``; the gate,
  ``sigmoid(x)`` or ``hard_sigmoid(x)``, is a tensor of its own on a device.
* A leaky ReLU becomes a `LeakyReLU`, and sigmoid, hard_sigmoid, tanh, gelu and softmax an
  `Activation`, be they layers, arguments ``activation=`` or bare ops.
* What multiplies, divides, adds to or subtracts from one tensor constants becomes an `Affine`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import tree

from tfquantseg.layers import Affine

_L = keras.layers

FUSED = ("linear", "relu", "relu6")
"""Activations that a convolution computes itself."""

LOOKED_UP = ("sigmoid", "tanh", "gelu", "softmax")
"""Functions with an edge in front of them and one behind."""

_GATES = {"silu": "sigmoid", "hard_silu": "hard_sigmoid"}
_OPS = {
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "HardSigmoid": "hard_sigmoid",
    "Silu": "silu",
    "HardSilu": "hard_silu",
    "LeakyRelu": "leaky_relu",
    "Gelu": "gelu",
}


def function_name(activation: Any) -> str:
    """Returns the name of an activation function, or of the type of an object that is one.

    Its module's name stands in front where a user's own function is called as one of Keras's, which
    may compute something else; `keras.ops.gelu`, not asked otherwise, is gelu by its approximation.
    """
    name = str(getattr(activation, "__name__", type(activation).__name__))
    module = str(getattr(activation, "__module__", ""))
    approximates = module.startswith("keras.src.ops.") and name == "gelu"
    if module.startswith(("keras.", "tensorflow.")) and not approximates:
        return "silu" if name == "swish" else name  # as TensorFlow calls it
    return f"{module}.{name}"


def is_split(activation: Any) -> bool:
    """Whether a convolution's activation is computed apart from it."""
    name = function_name(activation)
    return (
        isinstance(activation, _L.Layer)
        or name in LOOKED_UP
        or name in _GATES
        or name in ("hard_sigmoid", "leaky_relu")
    )


def spelled_out(operation: Any, name: str) -> list[Callable[..., Any]] | None:
    """Returns the layers, to be called one after the other, that an activation consists of.

    Args:
        operation: a layer or op of any kind.
        name: what the last of them is to be called.

    Returns:
        None where the operation is no activation, or one that stays as it is.

    Raises:
        ValueError: a setting that no layer here computes.
    """
    if isinstance(operation, _L.Activation):
        function = function_name(operation.activation)
        return activation(function, name) if function in (*_GATES, "leaky_relu") else None
    kind = type(operation)
    if _is_relu(operation):
        relu = {
            one: getattr(operation, one) for one in ("max_value", "negative_slope", "threshold")
        }
        if operation.negative_slope and operation.max_value is None and not operation.threshold:
            return _leaky(operation.negative_slope, name)
        return None if kind is _L.ReLU else [_L.ReLU(**relu, name=name)]
    if isinstance(operation, keras.layers.Layer) or not kind.__module__.startswith("keras.src."):
        return None
    if kind.__name__ == "Gelu" and operation.approximate:
        raise ValueError(
            f"{operation.name!r}: gelu by its approximation is not planned; use "
            "keras.ops.gelu(x, approximate=False) or Activation('gelu')."
        )
    if kind.__name__ == "LeakyRelu":
        return _leaky(operation.negative_slope, name)
    function = _OPS.get(kind.__name__, "")
    return activation(function, name) if function else None


def is_spelled_out(operation: Any) -> bool:
    """Whether an op, called on one tensor, is of those that become layers here.

    Args:
        operation: a layer or op of any kind.
    """
    kind = type(operation)
    named = kind.__name__ in (*_OPS, *_AFFINE, "Negative")
    return _is_relu(operation) or (kind.__module__.startswith("keras.src.ops.") and named)


def _is_relu(operation: Any) -> bool:
    """Whether an operation is a ReLU of any settings: the layer, or of `keras.activations.relu`."""
    kind = type(operation)
    called = kind.__module__ == "keras.src.activations.activations" and kind.__name__ == "ReLU"
    return kind is _L.ReLU or called


def activation(function: str, name: str) -> list[Callable[..., Any]]:
    """Returns the layers that an activation function of Keras consists of.

    Args:
        function: its name, one for which `is_split` holds.
        name: what the last of them is to be called.
    """
    if function == "leaky_relu":
        return _leaky(0.2, name)  # Keras' own default
    if function in _GATES:
        gate = _L.Activation(_GATES[function], name=f"{name}_gate")
        return [_Gated(gate, _L.Multiply(name=name))]
    return [_L.Activation(function, name=name)]


def _leaky(slope: float, name: str) -> list[Callable[..., Any]]:
    return [_L.LeakyReLU(slope, name=name)]


@dataclasses.dataclass(frozen=True)
class _Gated:
    """x times what a gate makes of x."""

    gate: Any
    multiply: Any

    def __call__(self, x: Any) -> Any:
        return self.multiply([x, self.gate(x)])


_AFFINE: dict[str, Callable[[np.ndarray, bool], tuple[Any, Any]]] = {
    "Multiply": lambda constant, first: (constant, 0.0),
    "Add": lambda constant, first: (1.0, constant),
    "Subtract": lambda constant, first: (-1.0, constant) if first else (1.0, -constant),
    "Divide": lambda constant, first: (1 / constant, 0.0),
    "TrueDivide": lambda constant, first: (1 / constant, 0.0),
}


def affine(operation: Any, args: Any, kwargs: Any, name: str) -> Affine | None:
    """Returns the layer, to be called on the tensor, of an op that combines one with constants.

    Args:
        operation: a layer or op of any kind.
        args: what it is called with.
        kwargs: the same.
        name: of the layer.

    Returns:
        None for another operation, or one of several tensors.

    Raises:
        ValueError: a constant that is neither one number nor one a channel, or that is trained; a
            division by the tensor.
    """
    kind = type(operation)
    if not kind.__module__.startswith("keras.src.ops."):
        return None
    if kind.__name__ == "Negative":
        return Affine([-1.0], [0.0], name=name, dtype="float32")
    operands = [*args, *kwargs.values()]
    tensors = [one for one in tree.flatten(operands) if isinstance(one, keras.KerasTensor)]
    if kind.__name__ not in _AFFINE or len(tensors) != 1 or len(operands) != 2:
        return None
    first = operands[1] is tensors[0]
    if kind.__name__ in ("Divide", "TrueDivide") and first:
        raise ValueError(
            f"{operation.name!r} ({kind.__name__}) divides by a tensor, which no 8-bit operation "
            "does; divide by a constant, or multiply by a gate."
        )
    constant = _constant(operation, operands[0 if first else 1], tensors[0].shape[-1])
    factor, offset = _AFFINE[kind.__name__](constant, first)
    return Affine(np.ravel(factor), np.ravel(offset), name=name, dtype="float32")


def _constant(operation: Any, constant: Any, channels: int | None) -> np.ndarray:
    """Returns a constant as one number or [C]."""
    if isinstance(constant, keras.Variable) and constant.trainable:
        raise ValueError(
            f"{operation.name!r} combines a tensor with the variable {constant.path!r}, which is "
            "trained and would become a constant; use a BatchNormalization, whose gamma and beta "
            "are trained on grids, or set trainable=False."
        )
    values = np.asarray(keras.ops.convert_to_numpy(constant), np.float64)
    if values.size == 1:
        return values.reshape(())
    if values.shape[-1] != values.size or values.size != channels:
        raise ValueError(
            f"{operation.name!r} combines a tensor of {channels} channels with constants of shape "
            f"{values.shape}; accepted are one number, or one a channel."
        )
    return values.reshape(-1)
