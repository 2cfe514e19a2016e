"""The twin of `functions`: what LiteRT's reference kernels compute of them, readable and slow.

Products and slopes are fixed-point arithmetic, and so is softmax (`twin_softmax`). Sigmoid, tanh
and GELU are float32 in the kernels: tables over the 256 bytes, made once. The exponentials are
taken in float64 here and rounded once, which is what a C library's float32 gives in all but a few
of 10,000 places.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tfquantseg.export.fixed_point import Integers, scaled
from tfquantseg.export.functions import Function, Multiply, PRelu, Softmax, Subtract
from tfquantseg.export.network import Operation, clamp
from tfquantseg.export.twin_softmax import softmax

_SUM_SHIFT = 20  # bits that a difference's members are shifted up by
_BYTES = np.arange(-255, 256, dtype=np.int64)  # what a byte less a zero point can be

_Table = Callable[[np.ndarray], np.ndarray]


def _multiplied(operation: Multiply, *inputs: Integers) -> Integers:
    # The kernel multiplies and divides the steps as the float32 that they are.
    one, other = (np.float32(tensor.step) for tensor in operation.inputs)
    factor = one * other / np.float32(operation.output.step)
    made = scaled(inputs[0] * inputs[1], float(factor))
    return np.clip(made, *clamp(operation.activation, operation.output))


def _subtracted(operation: Subtract, *inputs: Integers) -> Integers:
    steps = [np.float64(tensor.step) for tensor in operation.inputs]
    twice = 2 * max(steps)
    first, second = (x << _SUM_SHIFT for x in inputs)
    # Not less the scaled second: the kernel scales its negative, and ties round otherwise.
    raised = scaled(first, float(steps[0] / twice)) + scaled(-second, float(steps[1] / twice))
    factor = twice / (2.0**_SUM_SHIFT * np.float64(operation.output.step))
    made = scaled(raised, float(factor))
    return np.clip(made, *clamp(operation.activation, operation.output))


def _sloped(operation: PRelu, x: Integers) -> Integers:
    step, out = np.float32(operation.inputs[0].step), np.float32(operation.output.step)
    kept = scaled(x, float(step / out))
    times = x * operation.slopes.astype(np.int64)
    bent = scaled(times, float(step * np.float32(operation.slope_step) / out))
    return np.clip(np.where(x >= 0, kept, bent), *clamp("linear", operation.output))


def _looked_up(operation: Function, x: Integers) -> Integers:
    values = np.float32(operation.inputs[0].step) * _BYTES.astype(np.float32)
    made = _TABLES[operation.kind](values) * (np.float32(1) / np.float32(operation.output.step))
    table = np.clip(_half_away(made), *clamp("linear", operation.output))
    return table[x + 255]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.float32(1) / (np.float32(1) + _exp(-x))


def _tanh(x: np.ndarray) -> np.ndarray:
    return np.tanh(x.astype(np.float64)).astype(np.float32)


def _gelu(x: np.ndarray) -> np.ndarray:
    error = [math.erfc(-one / math.sqrt(2)) for one in x.astype(np.float64)]
    return np.float32(0.5) * x * np.asarray(error).astype(np.float32)


_TABLES: dict[str, _Table] = {"sigmoid": _sigmoid, "tanh": _tanh, "gelu": _gelu}


def _exp(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # to infinity, as in float32
        return np.exp(x.astype(np.float64)).astype(np.float32)


def _half_away(x: np.ndarray) -> Integers:
    return np.trunc(x + np.copysign(np.float32(0.5), x)).astype(np.int64)


KERNELS: dict[type[Operation], Callable[..., Any]] = {
    Multiply: _multiplied,
    Subtract: _subtracted,
    PRelu: _sloped,
    Function: _looked_up,
    Softmax: softmax,
}
"""By operation, what makes the output's integers of it and its inputs', all counted from 0."""
