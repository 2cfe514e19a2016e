"""The laws of the grids, for any numbers."""

from fractions import Fraction
from math import floor

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tfquantseg.numerics import Scaled, Uniform, levels, round_half_away, round_half_up

LAW = settings(max_examples=100, deadline=None, derandomize=True, database=None)
TINY = 2.0**-60  # its square is far from a subnormal, which TensorFlow flushes to zero


def floats(most: float) -> st.SearchStrategy[float]:
    """Returns float32 numbers up to ``most``, 0 among them, none so small as to be flushed."""
    magnitudes = st.floats(TINY, most, width=32)
    return st.one_of(st.just(0.0), magnitudes, magnitudes.map(lambda x: -x))


def arrays(most: float) -> st.SearchStrategy[np.ndarray]:
    shapes = hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4)
    return hnp.arrays(np.float32, shapes, elements=floats(most))


BITS = st.sampled_from([2, 3, 4, 8, 12, 16, 23, 24])
LIMITS = st.integers(-20, 20).map(lambda power: 2.0**power)
ROUNDINGS = st.sampled_from(["half_up", "half_away"])
STEPS = st.sampled_from(["max/128", "max/127"])
UNIFORM = st.builds(Uniform, BITS, LIMITS, ROUNDINGS)
SCALED = st.builds(Scaled, BITS, STEPS, rounding=ROUNDINGS)


@LAW
@given(st.lists(floats(2.0**23 - 1), min_size=1, max_size=50))
def test_round_half_up_is_the_exact_floor(numbers):
    rounded = round_half_up(tf.constant(numbers)).numpy()
    assert rounded.tolist() == [floor(Fraction(x) + Fraction(1, 2)) for x in numbers]


@LAW
@given(st.lists(floats(2.0**23 - 1), min_size=1, max_size=50))
def test_round_half_away_is_the_exact_floor_of_the_magnitude(numbers):
    rounded = round_half_away(tf.constant(numbers)).numpy()
    floors = [floor(abs(Fraction(x)) + Fraction(1, 2)) for x in numbers]
    assert np.abs(rounded).tolist() == floors
    assert all(n == 0 or np.sign(n) == np.sign(x) for n, x in zip(rounded, numbers, strict=True))


@LAW
@given(st.one_of(UNIFORM, SCALED), arrays(1e6))
def test_integers_are_integers_within_the_bits(grid, x):
    integers = grid.encode(tf.constant(x)).integers.numpy()
    assert integers.shape == x.shape
    np.testing.assert_array_equal(integers, np.floor(integers))
    assert np.all(np.abs(integers) <= levels(grid.bits))


@LAW
@given(UNIFORM, arrays(1e6))
def test_uniform_lies_on_its_grid_within_half_a_step(grid, x):
    q = grid(tf.constant(x)).numpy().astype(np.float64)
    step = grid.limit * 2.0 ** (1 - grid.bits)
    np.testing.assert_array_equal(q / step, np.floor(q / step))
    inside = np.abs(x) <= grid.limit - step
    assert np.all(np.abs(q - x)[inside] <= step / 2)
    np.testing.assert_array_equal(q[~inside], np.sign(x[~inside]) * (grid.limit - step))


@LAW
@given(UNIFORM, arrays(1e6))
def test_uniform_is_idempotent(grid, x):
    once = grid(tf.constant(x))
    np.testing.assert_array_equal(grid(once), once)


@LAW
@given(SCALED, arrays(1e6))
def test_scaled_lies_within_half_a_step(grid, x):
    integers, step = (np.float64(part) for part in grid.encode(tf.constant(x)))
    scale = np.max(np.abs(x), initial=0.0).astype(np.float64)
    inside = np.abs(x) <= scale * levels(grid.bits) / grid.divisor
    # The quotient by the scale, its multiple and the step are rounded to float32: three times
    # 2**-24 of a magnitude of at most 2**(k-1) steps. It matters from 16 bits on.
    slack = 3 * 2.0**-24 * grid.divisor
    assert np.all(np.abs(integers * step - x)[inside] <= step * (0.5 + slack))
    # Outside, the value is clipped: less than one step is lost.
    assert np.all(np.abs(integers * step - x) <= step * (1 + slack))


@LAW
@given(st.one_of(UNIFORM, SCALED), st.lists(floats(1e6), min_size=1, max_size=50))
def test_monotone(grid, numbers):
    q = grid(tf.constant(sorted(numbers))).numpy()
    assert np.all(np.diff(q) >= 0)


@LAW
@given(
    st.one_of(
        st.builds(Uniform, BITS, LIMITS, st.just("half_away")),
        st.builds(Scaled, BITS, STEPS, rounding=st.just("half_away")),
    ),
    arrays(1e6),
)
def test_half_away_is_odd(grid, x):
    np.testing.assert_array_equal(grid(tf.constant(-x)), -grid(tf.constant(x)))


@LAW
@given(SCALED, arrays(1e3), st.integers(-20, 20))
def test_scaled_commutes_with_powers_of_two(grid, x, power):
    integers, step = grid.encode(tf.constant(x))
    doubled, doubled_step = grid.encode(tf.constant(x * np.float32(2.0**power)))
    np.testing.assert_array_equal(doubled, integers)
    if np.any(x):
        assert float(doubled_step) == float(step) * 2.0**power


@LAW
@given(
    st.sampled_from([2, 4, 8, 12, 16]),
    hnp.arrays(np.float32, st.integers(1, 20), elements=floats(1e6)),
)
def test_max_127_keeps_its_integers(bits, x):
    grid = Scaled(bits, step="max/127")
    integers, step = grid.encode(tf.constant(x))
    np.testing.assert_array_equal(grid.encode(integers * step).integers, integers)


@LAW
@given(st.sampled_from([2, 8, 22]), arrays(1e6), st.tuples(st.integers(0, 99), st.integers(0, 99)))
def test_stochastic_takes_one_of_the_two_neighbours(bits, x, seed):
    grid = Scaled(bits, step="max/127", stochastic=True)
    integers = grid.encode(tf.constant(x), seed=seed).integers.numpy()
    scale = np.max(np.abs(x), initial=0.0)
    ratio = x / (scale if scale > 0 else np.float32(1)) * np.float32(grid.divisor)
    assert np.all((integers == np.floor(ratio)) | (integers == np.floor(ratio) + 1))
    np.testing.assert_array_equal(
        integers[ratio == np.floor(ratio)], ratio[ratio == np.floor(ratio)]
    )
