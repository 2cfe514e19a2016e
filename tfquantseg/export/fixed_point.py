"""Integer arithmetic of TFLite's reference kernels: a real factor as a multiplier and a shift.

Source: the behaviour of LiteRT's BUILTIN_REF kernels, to which tests compare it bit for bit.
"""

import math

import numpy as np

Integers = np.ndarray
"""int64, any shape."""


def multiplier(factor: float) -> tuple[int, int]:
    """Returns (m, shift) with ``factor`` nearly ``m * 2**(shift - 31)`` and 2**30 <= m < 2**31.

    Args:
        factor: positive, a float64.
    """
    fraction, shift = math.frexp(factor)
    m = math.floor(fraction * 2**31 + 0.5)
    if m == 2**31:
        m, shift = m // 2, shift + 1
    return (0, 0) if shift < -31 else (m, shift)


def scaled(x: Integers, factor: float) -> Integers:
    """Returns ``x * factor`` rounded twice, as the kernels do: after 31 bits and after the shift.

    Args:
        x: int64 that fits 32 bits, any shape.
        factor: positive.
    """
    return _times(x, *multiplier(factor))


def averaged(x: Integers, factor: float, count: int) -> Integers:
    """Returns ``x * factor / count``, the multiplier divided by the count as the kernels do.

    Args:
        x: int64 sums of `count` integers, any shape.
        factor: positive.
        count: positive.
    """
    m, shift = multiplier(factor)
    more = min(count.bit_length() - 1, 32, 31 + shift)
    return _times(x, (m << more) // count, shift - more)


def _times(x: Integers, m: int, shift: int) -> Integers:
    """Returns x * m * 2**(shift - 31), rounded twice."""
    return shifted(high_half(x << max(shift, 0), m), max(-shift, 0))


def high_half(x: Integers, m: int | Integers) -> Integers:
    """Returns x * m / 2**31, to the nearest, ties up; the division cuts towards zero.

    Args:
        x: int64 that fits 32 bits, any shape.
        m: the same, of a shape that goes with it.
    """
    wide = x * m
    nudged = wide + np.where(wide >= 0, 2**30, 1 - 2**30)
    return np.sign(nudged) * (np.abs(nudged) >> 31)


def shifted(x: Integers, bits: int) -> Integers:
    """Returns x / 2**bits, to the nearest, ties away from zero.

    Args:
        x: int64, any shape.
        bits: not negative.
    """
    mask = (1 << bits) - 1
    remainder = x & mask
    return (x >> bits) + (remainder > (mask >> 1) + (x < 0))
