"""Grids with a flag bit: two ranges of k bits, against the formula in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tests.numerics import reference
from tests.numerics.modes import MODES
from tfquantseg.numerics import Scaled

FLAG = Scaled(8, step="max/127", rounding="half_away", flag=True)


def heavy_tailed(seed: int = 0) -> np.ndarray:
    """Errors of which most are below a hundredth of the largest."""
    return np.random.default_rng(seed).standard_normal([4, 9, 9, 5]).astype(np.float32) ** 3


def flagged(x: np.ndarray, bits: int, divisor: int, last: int) -> tuple[np.ndarray, np.float32]:
    """(integers in small steps, small step): n D for |x| >= D, else n D 2**(1-k)."""
    fine = 2 ** (bits - 1)
    ratio = x / np.max(np.abs(x)) * np.float32(divisor)
    large = np.clip(reference.half_away(ratio), -last, last) * fine
    small = reference.half_away(ratio * np.float32(fine))
    step = np.float32(np.float64(np.max(np.abs(x))) / divisor)
    return np.where(np.abs(ratio) < 1, small, large), step / np.float32(fine)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bits", [4, 8, 12])
@pytest.mark.parametrize("step", ["max/127", "max/128"])
def test_integers_and_step(step, bits, mode):
    x = heavy_tailed()
    grid = Scaled(bits, step=step, rounding="half_away", flag=True)
    integers, got = MODES[mode](lambda x: tuple(grid.encode(x)))(tf.constant(x))
    last = 2 ** (bits - 1) - 1
    expected, expected_step = flagged(x, bits, last + (step == "max/128"), last)
    np.testing.assert_array_equal(integers, expected)
    assert np.float32(got) == expected_step
    assert np.abs(expected).max() == grid.most == last * 2 ** (bits - 1)


def test_the_parts_are_integers_of_k_bits_and_add_up():
    integers = FLAG.encode(tf.constant(heavy_tailed())).integers
    (large, times), (small, once) = FLAG.parts(integers)
    assert (times, once) == (128.0, 1.0)
    for part in (large.numpy(), small.numpy()):
        assert np.array_equal(part, np.round(part)) and 120 < np.abs(part).max() <= 127
    np.testing.assert_array_equal(large * times + small, integers)
    assert not np.any((large.numpy() != 0) & (small.numpy() != 0))
    assert (FLAG.part_bits, FLAG.integer_bits) == (8, 15)


def test_without_flags_there_is_one_part():
    integers = tf.constant([1.0, -127.0])
    ((part, times),) = Scaled(8).parts(integers)
    assert part is integers and times == 1.0


def test_few_small_errors_become_zero():
    x = tf.constant(heavy_tailed())
    zeros, flagged_zeros = (
        float(np.mean(grid.encode(x).integers == 0)) for grid in (Scaled(8, step="max/127"), FLAG)
    )
    assert zeros > 0.4 and flagged_zeros < 0.15
    # As near as half a small step below D, and half a large one above.
    apart = np.abs(FLAG(x) - x)
    large = float(np.max(np.abs(x))) / 127
    below = np.abs(x) < large
    assert np.max(apart[below]) <= large / 256 * (1 + 2.0**-20)  # float32
    assert large / 4 < np.max(apart[~below]) <= large / 2 * (1 + 2.0**-20)


@pytest.mark.parametrize("mode", MODES)
def test_stochastic_rounding_keeps_the_mean_in_both_ranges(mode):
    grid = Scaled(8, step="max/127", stochastic=True, flag=True)
    x = np.full([60_000], 0.3, np.float32)  # 0.3 of a small step
    x[:30_000] = 128 * 1.7  # 1.7 of a large one
    x[0] = 127 * 128
    encode = MODES[mode](lambda x: tuple(grid.encode(x, seed=(1, 2))))
    integers, step = encode(tf.constant(x))
    assert np.float32(step) == 1.0
    large, small = integers.numpy()[1:30_000], integers.numpy()[30_000:]
    assert set(np.unique(small)) == {0, 1} and set(np.unique(large)) == {128, 256}
    # Five standard errors of the mean of 30,000 Bernoulli draws.
    assert abs(small.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 30_000)
    assert abs(large.mean() / 128 - 1.7) < 5 * np.sqrt(0.3 * 0.7 / 30_000)


def test_zeros_stay_zeros():
    integers, step = FLAG.encode(tf.zeros([4]))
    assert not integers.numpy().any() and step.numpy() > 0


@pytest.mark.parametrize("wrong", [{"signed": False}, {"clip": "none"}, {"rescale": False}])
def test_what_a_flag_does_not_go_with(wrong):
    with pytest.raises(ValueError, match="flag needs signed=True, rescale=True and a clip"):
        Scaled(8, flag=True, **wrong)


def test_bits_of_a_flagged_grid_have_an_end():
    with pytest.raises(ValueError, match="with a flag bits must be from 2 to 12, received 13"):
        Scaled(13, flag=True)
