"""Unsigned grids: the bit of the sign spent on values, against the formula in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tests.numerics import reference
from tests.numerics.modes import MODES
from tfquantseg.numerics import Scaled

STEPS = {"max/127": 255, "max/128": 256}


def behind_relu(seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal([3, 5, 7]).astype(np.float32)
    return np.maximum(x, 0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("step", STEPS)
def test_integers_and_step(step, mode):
    x = behind_relu()
    grid = Scaled(8, step=step, rounding="half_away", signed=False)
    integers, got = MODES[mode](lambda x: tuple(grid.encode(x)))(tf.constant(x))
    scale = x.max()
    expected = np.clip(reference.half_away(x / scale * np.float32(STEPS[step])), 0, 255)
    np.testing.assert_array_equal(integers, expected)
    assert np.float32(got) == np.float32(np.float64(scale) / STEPS[step])
    assert expected.max() == 255 and expected.min() == 0


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_bit_more_of_values_than_signed(bits):
    x = tf.constant(behind_relu())
    unsigned = Scaled(bits, step="max/127", signed=False)
    wider = Scaled(bits + 1, step="max/127")
    assert (unsigned.most, unsigned.divisor) == (2**bits - 1, 2**bits - 1)
    np.testing.assert_array_equal(unsigned(x), wider(x))
    assert unsigned.integer_bits == bits + 1  # in two's complement, which own kernels read
    assert not unsigned.own and wider.own


def test_what_lies_below_zero_becomes_zero():
    integers, _ = Scaled(8, signed=False).encode(tf.constant([-3.0, -0.001, 0.5, 1.0]))
    assert integers.numpy().tolist() == [0, 0, 43, 85]  # of 256 steps of 3


def test_a_scale_given_clips_at_the_last_integer():
    grid = Scaled(8, step="max/127", signed=False)
    integers, step = grid.encode(tf.constant([0.0, 1.0, 2.0, 9.0]), scale=2.0)
    assert integers.numpy().tolist() == [0, 128, 255, 255]
    assert step.numpy() == np.float32(2 / 255)


def test_zeros_stay_zeros():
    integers, step = Scaled(8, signed=False).encode(tf.zeros([4]))
    assert not integers.numpy().any() and step.numpy() > 0


def test_signed_is_a_flag():
    with pytest.raises(ValueError, match="signed must be True or False, received 1"):
        Scaled(8, signed=1)
