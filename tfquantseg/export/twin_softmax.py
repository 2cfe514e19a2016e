"""The twin of SOFTMAX: exponentials, their sum and its reciprocal as reference kernels have them.

They are integers throughout. The words: a number *with k bits* before its point is an integer of 32
bits that counts steps of 2**(k - 31); one with none lies in -1..1.
"""

import numpy as np

from tfquantseg.export.fixed_point import Integers, high_half, multiplier, shifted
from tfquantseg.export.functions import Softmax
from tfquantseg.export.network import clamp

_DIFFERENCE_BITS = 5  # before the point of a difference to the largest
_SUM_BITS = 12  # before the point of the sum of exponentials
_LARGEST = 2**31 - 1  # of 32 bits: nearly 1 with none before the point


def softmax(operation: Softmax, x: Integers) -> Integers:
    """Returns exp(x) of each channel over their sum, in steps of 1/256.

    Args:
        operation: a softmax.
        x: int64 [H, W, C], counted from 0.

    Returns:
        int64 [H, W, C], 0 to 255.
    """
    factor = np.float64(operation.inputs[0].step) * 2.0 ** (31 - _DIFFERENCE_BITS)
    m, shift = multiplier(min(float(factor), float(_LARGEST)))
    # Differences beyond this would not fit; what is so far below the largest counts nothing.
    least = -((2**_DIFFERENCE_BITS - 1) * 2 ** (31 - _DIFFERENCE_BITS) // 2**shift)
    table = _exponential(high_half(np.arange(least, 1, dtype=np.int64) << shift, m))
    below = x - x.max(-1, keepdims=True)
    powers = np.where(below >= least, table[np.maximum(below, least) - least], 0)
    # Exponentials have no bits before the point; in the sum each is rounded to twelve.
    sums = np.where(below >= least, shifted(powers, _SUM_BITS), 0).sum(-1, keepdims=True)
    reciprocal, bits = _reciprocal(sums)
    made = _shifted_each(high_half(powers, reciprocal), bits + 31 - 8)
    return np.clip(made, *clamp("linear", operation.output))


def _exponential(x: Integers) -> Integers:
    """Returns exp(x) with no bits before the point, of x <= 0 with five."""
    fraction = 31 - _DIFFERENCE_BITS
    quarter = 1 << (fraction - 2)
    # exp(-1/4..0) by its series, times exp(-1/4), exp(-1/2), ..., exp(-16) by the bits of the rest.
    inner = (x & (quarter - 1)) - quarter
    made = _series(inner << _DIFFERENCE_BITS)
    rest = inner - x
    for exponent in range(-2, _DIFFERENCE_BITS):
        factor = round(np.exp(-(2.0**exponent)) * 2**31)
        made = np.where(rest & (1 << (fraction + exponent)), high_half(made, factor), made)
    return np.where(x == 0, _LARGEST, made)


def _series(x: Integers) -> Integers:
    """Returns exp(x), -1/4 <= x < 0: about -1/8, by four terms."""
    middle, third = round(np.exp(-1 / 8) * 2**31), round(2**31 / 3)
    x = x + (1 << 28)
    square = high_half(x, x)
    cube, fourth = high_half(square, x), high_half(square, square)
    terms = shifted(high_half(shifted(fourth, 2) + cube, third) + square, 1)
    return middle + high_half(x + terms, middle)


def _reciprocal(x: Integers) -> tuple[Integers, Integers]:
    """Returns 1 / x as a number of 1/2..1 with no bits before the point, and the bits shifted."""
    # x lies below 2**31, so its length tells the zeros in front, of 32.
    zeros = 32 - np.frexp(x.astype(np.float64))[1].astype(np.int64)
    fraction = (x << zeros) - 2**31
    # 1 / (1 + fraction) by three steps of Newton's from 48/17 - 32/17 d, d half of 1 + fraction.
    total = fraction + _LARGEST
    half = (total + 1) // 2
    made = round(48 / 17 * 2**29) + high_half(half, round(-32 / 17 * 2**29))
    for _ in range(3):
        missing = (1 << 29) - high_half(half, made)
        made = made + np.clip(high_half(made, missing) << 2, -(2**31), _LARGEST)
    return np.clip(made << 1, -(2**31), _LARGEST), _SUM_BITS - zeros


def _shifted_each(x: Integers, bits: Integers) -> Integers:
    """Returns x / 2**bits, bits for each, to the nearest, ties away from zero."""
    bits = np.broadcast_to(bits, x.shape)
    made = np.zeros_like(x)
    for one in np.unique(bits):
        made = np.where(bits == one, shifted(x, int(one)), made)
    return made
