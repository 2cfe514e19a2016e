"""Stochastic rounding and the gradient's grids (Eq 5, 6, 17, 18), by their means and bounds."""

import numpy as np
import pytest
import tensorflow as tf

from tests.numerics.modes import MODES
from tfquantseg.numerics import Scaled, delta, levels, round_stochastic

DRAWS = 200_000


def normal(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("x", [0.5, 0.25, 0.1, 0.999, 3.7, -0.3, -2.5, -1e-3, 1000.01])
def test_mean_and_neighbours(x):
    x = np.float32(x)
    drawn = round_stochastic(tf.fill([DRAWS], x), seed=(7, 11)).numpy()
    below = np.floor(x)
    assert set(np.unique(drawn)) == {below, below + 1}
    up = np.float64(x) - below
    # Five standard errors of the mean of Bernoulli draws: one false alarm in 1.7 million seeds.
    tolerance = 5 * np.sqrt(up * (1 - up) / DRAWS)
    assert abs(np.mean(drawn, dtype=np.float64) - np.float64(x)) < tolerance


def test_draws_are_independent_of_their_place():
    drawn = round_stochastic(tf.fill([DRAWS], 0.5), seed=(1, 2)).numpy() - 0.5
    # The product of neighbours has mean 0 and deviation 1/4; five standard errors.
    for lag in (1, 2, 3, 4, 128):
        assert abs(np.mean(drawn[lag:] * drawn[:-lag])) < 5 * 0.25 / np.sqrt(DRAWS)


def test_integers_stay():
    x = np.arange(-(2**21), 2**21, 997).astype(np.float32)
    np.testing.assert_array_equal(round_stochastic(tf.constant(x), seed=(0, 0)), x)


@pytest.mark.parametrize("seed", [(0, 1), (1, 0), (2**31, 5), (-3, 2**40)])
def test_another_seed_gives_other_draws(seed):
    x = tf.fill([10_000], 0.5)
    first = round_stochastic(x, seed=(0, 0)).numpy()
    other = round_stochastic(x, seed=seed).numpy()
    np.testing.assert_array_equal(round_stochastic(x, seed=(0, 0)), first)
    # Two independent fair coins differ half the time; five standard errors.
    assert abs(np.mean(first != other) - 0.5) < 5 * 0.5 / np.sqrt(10_000)


def test_a_seed_may_be_tensors_of_any_integer_type():
    x = tf.constant(normal((1000,)))
    expected = round_stochastic(x, seed=(3, 9))
    for dtype in (tf.int32, tf.int64):
        seed = (tf.constant(3, dtype), tf.constant(9, dtype))
        np.testing.assert_array_equal(round_stochastic(x, seed=seed), expected)


@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize("bits", [8, 16, 22])
@pytest.mark.parametrize("rescale", [True, False])
def test_same_bits_in_every_mode(bits, rescale, mode):
    grid = Scaled(bits, stochastic=True, rescale=rescale)
    x = tf.constant(normal((20_000,)))

    def encode(x: tf.Tensor, step: tf.Tensor) -> tuple:
        return tuple(grid.encode(x, seed=(5, step)))

    step = tf.constant(12, tf.int64)
    eager, compiled = encode(x, step), MODES[mode](encode)(x, step)
    np.testing.assert_array_equal(compiled[0], eager[0])
    np.testing.assert_array_equal(compiled[1], eager[1])


@pytest.mark.parametrize("step", ["max/128", "max/127"])
@pytest.mark.parametrize("bits", [2, 8, 16, 22])
def test_bounds(bits, step):
    x = normal((20_000,), seed=bits)
    integers, unit = Scaled(bits, step=step, stochastic=True).encode(tf.constant(x), seed=(1, 1))
    integers, unit = integers.numpy().astype(np.float64), float(unit)
    most = levels(bits)
    assert np.all(integers == np.floor(integers))
    assert np.max(np.abs(integers)) <= most
    steps = np.clip(x / np.max(np.abs(x)) * np.float32(most + (step == "max/128")), -most, most)
    # Less than one step from the number, whose quotient is rounded to float32 as the grid does it.
    assert np.max(np.abs(integers - steps)) < 1


def test_eq_17_has_the_gradient_as_its_mean():
    g = np.array([1.0, 0.3, 0.004, 0.0005, 0.0, -0.2, -0.00003, -0.9], np.float32) * 1e-5
    grid = Scaled(8, stochastic=True)
    draws = grid(tf.tile(tf.constant(g)[None], [DRAWS, 1]), seed=(3, 4)).numpy()
    step = 1e-5 * delta(8)
    steps = g.astype(np.float64) / np.float32(1e-5) / delta(8)
    # Five standard errors, plus 2**-23 steps for the draws' resolution and the roundings.
    up = steps - np.floor(steps)
    tolerance = (5 * np.sqrt(up * (1 - up) / DRAWS) + 2**-16) * step
    mean = draws.mean(axis=0, dtype=np.float64)
    assert np.all(np.abs(mean[1:] - g[1:]) < tolerance[1:])
    # The maximum is clipped to 1 - Delta of the scale: RQ's bias (Eq 5). float32 holds 1e-5 and
    # its product to 2**-24 each.
    np.testing.assert_allclose(draws[:, 0], 1e-5 * (1 - delta(8)), rtol=2**-22)


def test_max_127_has_no_bias_at_the_maximum():
    draws = Scaled(8, step="max/127", stochastic=True)(tf.ones([1000]) * 127, seed=(0, 1))
    np.testing.assert_array_equal(draws, np.full(1000, 127.0))


def test_eq_18_leaves_the_scale_out():
    g = tf.constant(normal((5000,)) * np.float32(1e-4))
    integers, step = Scaled(8, stochastic=True).encode(g, seed=(2, 3))
    kept, unit = Scaled(8, stochastic=True, rescale=False).encode(g, seed=(2, 3))
    np.testing.assert_array_equal(kept, integers)
    assert float(unit) == delta(8)
    # Eq 17 is Eq 18 times the scale; 128 steps make the scale, exactly.
    assert float(step) * 128 == np.max(np.abs(g))
    value = Scaled(8, stochastic=True, rescale=False)(g, seed=(2, 3))
    np.testing.assert_array_equal(value, integers * delta(8))
    assert np.max(np.abs(value)) == 1 - delta(8)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rescale", [True, False])
def test_zeros_stay_zeros(mode, rescale):
    grid = Scaled(8, stochastic=True, rescale=rescale)
    q = MODES[mode](lambda x: grid(x, (1, 2)))(tf.zeros([3, 4]))
    np.testing.assert_array_equal(q, np.zeros([3, 4]))
    assert MODES[mode](lambda x: grid(x, (1, 2)))(tf.zeros([0, 4])).shape == (0, 4)
