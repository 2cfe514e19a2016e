"""Rounding to integers, to powers of two and of quotients, the same bits wherever it is computed.

Eager execution, graphs and XLA yield the same bits. Source: arXiv:2011.14504, section III-A.
"""

import math
from typing import Literal

import numpy as np
import tensorflow as tf

Rounding = Literal["half_up", "half_away", "half_even"]
Seed = tuple[int | tf.Tensor, int | tf.Tensor]

ROUNDINGS = ("half_up", "half_away", "half_even")

_BELOW_HALF = float(np.nextafter(np.float32(0.5), np.float32(0)))

_MANTISSA_OF_SQRT_2 = int(np.float32(math.sqrt(2)).view(np.int32)) & (
    2**23 - 1
)  # of the float just below it


def round_half_up(x: tf.Tensor) -> tf.Tensor:
    """Rounds to the nearest integer, ties upwards: ``floor(x + 1/2)`` (Eq 2), exactly.

    In float32, ``x + 0.5`` itself rounds: 0.49999997 would become 1. Below zero the sum is exact
    where it matters; above zero the largest float below one half gives the exact result.

    Args:
        x: float32 tensor, any shape, ``|x| < 2**23``.

    Returns:
        float32 tensor of integers, of x's shape.
    """
    return tf.floor(x + tf.where(x > 0, _BELOW_HALF, 0.5))


def round_half_away(x: tf.Tensor) -> tf.Tensor:
    """Rounds to the nearest integer, ties away from zero, as integer devices do.

    Args:
        x: float32 tensor, any shape, ``|x| < 2**23``.

    Returns:
        float32 tensor of integers, of x's shape: ``sign(x) * floor(|x| + 1/2)``, exactly.
    """
    return tf.sign(x) * tf.floor(tf.abs(x) + _BELOW_HALF)


def round_stochastic(x: tf.Tensor, seed: Seed) -> tf.Tensor:
    """Rounds to one of the two neighbours, up with probability ``x - floor(x)`` (Eq 6).

    The draws are Philox, of 16 bits each, a function of the seed alone: the same seed gives the
    same result in eager execution, graphs and XLA, before and after a restart.

    Args:
        x: float32 tensor, any shape, ``|x| < 2**22``.
        seed: two integers (or integer scalars); use another pair for every tensor and step.

    Returns:
        float32 tensor of integers, of x's shape, whose expectation is x (to within 2**-17).
    """
    key = tf.stack([tf.cast(part, tf.int64) for part in seed])
    # Words, because XLA makes other floats than eager execution of the same Philox words.
    size = tf.size(x)
    words = tf.random.stateless_uniform(
        [(size + 1) // 2], key, minval=None, maxval=None, dtype=tf.int32, alg="philox"
    )
    halves = tf.reshape(tf.bitcast(words, tf.int16), [-1])[:size]  # -2**15 .. 2**15 - 1
    draws = (tf.cast(halves, tf.float32) + (2.0**15 + 0.5)) * 2.0**-16  # inside 0 .. 1
    draws = tf.reshape(draws, tf.shape(x))
    below = tf.floor(x)
    return below + tf.cast(draws < x - below, tf.float32)


def round_nearest(x: tf.Tensor, rounding: Rounding) -> tf.Tensor:
    """Rounds to the nearest integer; `rounding` says where ties go.

    Args:
        x: float32 tensor, any shape, ``|x| < 2**23``.
        rounding: upwards, away from zero, or to the even neighbour.

    Returns:
        float32 tensor of integers, of x's shape.
    """
    if rounding == "half_even":
        return tf.round(x)
    return round_half_up(x) if rounding == "half_up" else round_half_away(x)


def nearest_power_of_two(x: tf.Tensor) -> tf.Tensor:
    """Returns 2**round(log2(x)), exactly, of normal positive float32: from the bits of x."""
    bits = tf.bitcast(x, tf.int32)
    exponent = tf.bitwise.right_shift(bits, 23)
    mantissa = tf.bitwise.bitwise_and(bits, 2**23 - 1)
    rounded = exponent + tf.cast(mantissa > _MANTISSA_OF_SQRT_2, tf.int32)
    return tf.bitcast(tf.bitwise.left_shift(rounded, 23), tf.float32)


def quotient(x: tf.Tensor, divisor: tf.Tensor) -> tf.Tensor:
    """Returns x / divisor, float32, correctly rounded also where graphs are compiled."""
    # In float64, because graph compilers replace a float32 division by a constant with a product,
    # whose last bit differs. Rounded to float32, it is the correct quotient.
    return tf.cast(tf.cast(x, tf.float64) / tf.cast(divisor, tf.float64), tf.float32)


def is_seed(seed: object) -> bool:
    """Whether a value is two integers, or integer tensors, as `round_stochastic` takes them."""
    if not isinstance(seed, tuple | list) or len(seed) != 2:
        return False
    types = [part.dtype for part in map(tf.convert_to_tensor, seed)]
    return all(kind.is_integer for kind in types)
