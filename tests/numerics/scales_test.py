"""The scales that clip, against their formulas in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tests.numerics.modes import MODES
from tfquantseg.numerics import DEVIATIONS, PERCENTILE, scale_of
from tfquantseg.numerics.scales import BINS

SHAPE = (2, 50, 60, 4)


def normal(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def behind_relu(seed: int = 0) -> np.ndarray:
    return np.maximum(normal(seed), 0)


def heavy(seed: int = 0) -> np.ndarray:
    return normal(seed) ** 5


def scale(x: np.ndarray, how: str, mode: str = "eager") -> float:
    return float(MODES[mode](lambda x: scale_of(x, how))(tf.constant(x)))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("values", [normal, behind_relu, heavy])
def test_moments(values, mode):
    x = values()
    magnitude = np.abs(np.float64(x))
    expected = min(magnitude.max(), magnitude.mean() + DEVIATIONS * magnitude.std())
    # Sums of 24,000 float32 values, which XLA adds one by one: their roundings of up to 2**-24 add
    # up like a random walk, to 2**-17.
    assert scale(x, "moments", mode) == pytest.approx(expected, rel=2.0**-16)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("values", [normal, behind_relu, heavy])
def test_the_percentile_is_an_upper_bound_within_a_bin(values, mode):
    x = values()
    magnitude = np.sort(np.abs(x).ravel())
    exact = magnitude[int(np.ceil(magnitude.size * PERCENTILE / 100)) - 1]
    got = scale(x, "percentile", mode)
    bin_width = magnitude[-1] / BINS
    # One bin too large at most; a float32 product may put a value into the bin above.
    assert exact * (1 - 2.0**-20) <= got <= exact + 1.01 * bin_width
    assert np.count_nonzero(magnitude > got) <= magnitude.size // 10_000
    assert got < 0.99 * magnitude[-1]


def test_one_value_far_out_counts_for_nothing():
    x = normal()
    for how in ("percentile", "moments"):
        before = scale(x, how)
        far = x.copy()
        far[0, 0, 0, 0] = 60.0
        assert scale(far, "max") == 60.0
        # One of 24,000 moves a percentile by one rank; a deviation of 0.6 to sqrt(0.36 + 0.15).
        assert before <= scale(far, how) < 1.2 * before


def test_few_elements_are_not_clipped():
    """99.99 % of fewer than 10,000 elements are all of them."""
    x = normal()[:, :20, :20]
    assert scale(x, "percentile") == scale(x, "max") == float(np.abs(x).max())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", ["max", "percentile", "moments"])
def test_constants_and_zeros(how, mode):
    assert scale(np.zeros([3, 4], np.float32), how, mode) == 0.0
    constant = np.full([2, 7, 9], -0.3, np.float32)
    # The mean of equal values is theirs up to its rounding: far within the half step that passes.
    assert scale(constant, how, mode) == pytest.approx(0.3, rel=2.0**-20)
    assert scale(np.zeros([0, 4], np.float32), how, mode) in (0.0, pytest.approx(0.0))


@pytest.mark.parametrize("how", ["percentile", "moments"])
def test_a_power_of_two_moves_the_scale_with_it(how):
    x = normal()
    for power in (2.0**-60, 2.0**60):
        assert scale(x * np.float32(power), how) == scale(x, how) * power


@pytest.mark.parametrize("how", ["percentile", "moments"])
def test_an_infinity_gives_no_finite_scale(how):
    x = normal()
    x[0, 0, 0, 0] = np.inf
    assert not np.isfinite(scale(x, how))
