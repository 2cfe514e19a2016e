"""Master weights as quantized layers make them, and gradients, for tests of the optimizer."""

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np

from tfquantseg.policy import INTEGER, Policy

STEP = 2.0**-23  # of 24 bits, relative to the limit
IN_TAPE = dataclasses.replace(INTEGER, name="IN_TAPE", G_at="tape")
LIMITS = {"INTEGER": (0.25, 1.0, 2.0), "IN_TAPE": (0.25, 1.0, 2.0), "PAPER_FCN": 1.0}


def on_grid(x, limit, rounding: str) -> np.ndarray:
    """Returns L * UQ(x / L, 24) (Eq 2) in float64, which holds x / L / Delta + 1/2 exactly."""
    steps = np.asarray(x, np.float64) / limit / STEP
    if rounding == "half_up":
        steps = np.floor(steps + 0.5)
    else:
        steps = np.sign(steps) * np.floor(np.abs(steps) + 0.5)
    return (np.clip(steps, 1 - 2**23, 2**23 - 1) * STEP * limit).astype(np.float32)


def master(value, limit=1.0, policy: Policy = IN_TAPE, name="kernel", decays=True):
    """Returns a variable of a quantized layer, on its grid."""
    variable = keras.Variable(on_grid(value, limit, policy.rounding), name=name)
    variable.update_rule = policy.update_rule(limit, -1, decays=decays, in_tape=True)
    return variable


def variables_of(policy: Policy) -> list[keras.Variable]:
    """Returns a kernel that decays, with a limit a channel where the policy has such, a bias."""
    rng = np.random.default_rng(0)
    kernel_limit = LIMITS[policy.name]
    kernel = rng.uniform(-0.9, 0.9, [2, 5, 3]) * np.asarray(kernel_limit)
    return [
        master(kernel, kernel_limit, policy),
        master(rng.uniform(-0.9, 0.9, [3]), 1.0, policy, name="bias", decays=False),
    ]


def numpys(variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    return [variable.numpy() for variable in variables]


def gradients(step: int, variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    rng = np.random.default_rng([1, step])
    return [rng.normal(0, 0.3, v.shape).astype(np.float32) for v in variables]
