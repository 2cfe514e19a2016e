"""Tensors on which an own op must agree with its twin, bit for bit."""

import numpy as np
import pytest

from tfquantseg import kernels

needs_own_ops = pytest.mark.skipif(kernels.ops() is None, reason=kernels.why_not() or "-")

# Empty, one element, odd sizes, a vector's length and one more, several blocks of 1,024.
SHAPES = [(0, 3, 3, 4), (1, 1, 1, 1), (2, 3, 5, 7), (1, 2, 2, 16), (1, 4, 33, 64), (1, 3, 11, 1300)]

KINDS = ["normal", "tiny", "huge", "zeros", "ties", "nan", "inf", "-inf"]


def of_kind(kind: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Returns float32 values: "ties" lie halfway between integers when the largest is 127."""
    random = np.random.default_rng([seed, KINDS.index(kind), *shape])
    x = random.standard_normal(shape).astype(np.float32)
    if kind == "tiny":
        x *= np.float32(1e-37)  # Denormals among them; the scale counts as zero.
    if kind == "huge":
        x = np.clip(x, -1, 1) * np.float32(3e38 / max(x.size, 1))  # The sum is finite.
    if kind == "zeros":
        x *= 0  # Of both signs.
    if kind == "ties":
        x = (random.integers(-127, 127, shape) + 0.5).astype(np.float32)
        x.flat[:1] = 127
    if kind in ("nan", "inf", "-inf") and x.size:
        x.flat[random.integers(x.size)] = float(kind)
    return x


def assert_same_bits(received, expected) -> None:
    """Compares float32 tensors with the signs of their zeros; one NaN is as good as another."""
    received, expected = np.asarray(received), np.asarray(expected)
    np.testing.assert_array_equal(received, expected)
    known = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(received)[known], np.signbit(expected)[known])
