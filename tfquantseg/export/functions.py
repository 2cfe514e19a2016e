"""Frozen operations beyond sums of products: tensors times tensors, and functions of one tensor.

They are `Operation`s as those of `network`; `twin_functions` computes them, `tflite_functions` says
which operators they are. Where a device prescribes the output's step, it is `UNIT_STEP`.
"""

import dataclasses
from typing import ClassVar, Literal

import numpy as np

from tfquantseg.export.network import Activation, Operation

UNIT_STEP = 1 / 256
"""The step that LOGISTIC and SOFTMAX write, with the zero point -128: 0 to 255/256."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Multiply(Operation):
    """The product of two tensors, with an activation; one may have a single position or channel."""

    activation: Activation


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Subtract(Operation):
    """The first tensor less the second, with an activation."""

    activation: Activation


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Function(Operation):
    """A function of each element, which kernels look up in a table of 256 bytes.

    Attributes:
        kind: "sigmoid", "tanh" or "gelu".
    """

    kind: Literal["sigmoid", "tanh", "gelu"]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class PRelu(Operation):
    """x where it is not below zero, else x times its channel's slope.

    Attributes:
        slopes: int8 [C].
        slope_step: of the slopes, a positive float32 value.
    """

    slopes: np.ndarray
    slope_step: float


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(Operation):
    """exp(x) of each channel, less the largest x, over their sum."""

    keeps_largest: ClassVar[bool] = True
