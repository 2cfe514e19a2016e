"""Which operators of TFLite the `functions` are, in which version, with which options."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfquantseg.export.functions import Function, Multiply, PRelu, Softmax, Subtract
from tfquantseg.export.network import Activation, Operation

_OPERATORS = schema.BuiltinOperator

FUSED: dict[Activation, int] = {
    "linear": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}
"""The schema's number of each activation that an operator may end with."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Lowered:
    """One operator, up to its tensors.

    Attributes:
        code: its number in the schema.
        version: the oldest that takes int8.
        options: an object of the schema's class, or None.
        constant: int8, read after the inputs; or None.
        step: of the constant.
    """

    code: int
    version: int
    options: Any = None
    constant: np.ndarray | None = None
    step: float = 1.0


def _multiply(operation: Multiply) -> Lowered:
    options = schema.MulOptionsT()
    options.fusedActivationFunction = FUSED[operation.activation]
    return Lowered(code=_OPERATORS.MUL, version=2, options=options)


def _subtract(operation: Subtract) -> Lowered:
    options = schema.SubOptionsT()
    options.fusedActivationFunction = FUSED[operation.activation]
    return Lowered(code=_OPERATORS.SUB, version=2, options=options)


def _function(operation: Function) -> Lowered:
    if operation.kind == "gelu":
        return Lowered(code=_OPERATORS.GELU, version=2, options=schema.GeluOptionsT())
    sigmoid = operation.kind == "sigmoid"
    return Lowered(code=_OPERATORS.LOGISTIC if sigmoid else _OPERATORS.TANH, version=2)


def _prelu(operation: PRelu) -> Lowered:
    slopes = operation.slopes.reshape(1, 1, -1)
    return Lowered(code=_OPERATORS.PRELU, version=1, constant=slopes, step=operation.slope_step)


def _softmax(operation: Softmax) -> Lowered:
    del operation
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    return Lowered(code=_OPERATORS.SOFTMAX, version=2, options=options)


LOWERED: dict[type[Operation], Callable[..., Lowered]] = {
    Multiply: _multiply,
    Subtract: _subtract,
    Function: _function,
    PRelu: _prelu,
    Softmax: _softmax,
}
"""By operation, what says which operator it is."""
