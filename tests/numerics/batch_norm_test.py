"""Batch norm's value and gradient against their formulas in float64, in every mode."""

import numpy as np
import pytest
import tensorflow as tf

from tests.numerics.modes import MODES
from tfquantseg.numerics import Uniform, normalize, normalize_batch

MU, SIGMA = Uniform(16, 8.0), Uniform(16, 8.0)
EPSILON = 1e-3
SHAPE = (2, 5, 7, 6)


def random(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def run(mode: str, norm: str, grids: bool, x: np.ndarray, gamma, beta, error: np.ndarray):
    def step(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, error: tf.Tensor):
        with tf.GradientTape() as tape:
            tape.watch([x, gamma, beta])
            y, mu, sigma = normalize_batch(
                x,
                gamma,
                beta,
                norm=norm,
                epsilon=EPSILON,
                mu_grid=MU if grids else None,
                sigma_grid=SIGMA if grids else None,
            )
        return y, mu, sigma, *tape.gradient(y, [x, gamma, beta], output_gradients=error)

    return [part.numpy() for part in MODES[mode](step)(*map(tf.constant, (x, gamma, beta, error)))]


def formula(norm: str, grids: bool, x, gamma, beta, error):
    """The same in NumPy, float64."""
    x, gamma, beta, error = (part.astype(np.float64) for part in (x, gamma, beta, error))
    axes, pixels = (0, 1, 2), x[..., 0].size
    mu = x.mean(axes)
    centred = x - mu
    sigma = np.abs(centred).mean(axes) if norm == "l1" else np.sqrt(np.square(centred).mean(axes))
    mu_q, sigma_q = (
        (grid(tf.constant(value, tf.float32)).numpy() if grids else value)
        for grid, value in ((MU, mu), (SIGMA, sigma))
    )
    divisor = sigma_q + EPSILON
    x_hat = (x - mu_q) / divisor
    to_gamma, to_beta = (error * x_hat).sum(axes), error.sum(axes)
    to_sigma = -gamma / divisor * to_gamma
    slope = np.sign(centred) if norm == "l1" else centred / np.where(sigma > 0, sigma, np.inf)
    to_mu = -gamma / divisor * to_beta - to_sigma * slope.mean(axes)
    to_x = gamma / divisor * error + to_sigma * slope / pixels + to_mu / pixels
    return gamma * x_hat + beta, mu, sigma, to_x, to_gamma, to_beta


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("grids", [False, True])
def test_value_and_gradient_are_their_formulas(grids: bool, norm: str, mode: str) -> None:
    arguments = (
        random(0, *SHAPE) * np.float32(2) + 1,
        random(1, 6),
        random(2, 6),
        random(3, *SHAPE),
    )
    received = run(mode, norm, grids, *arguments)
    for name, one, other in zip(
        ("y", "mu", "sigma", "x", "gamma", "beta"),
        received,
        formula(norm, grids, *arguments),
        strict=True,
    ):
        # Sums of 70 float32 numbers of size 1 to 10, in any order: 70 half ulps of 10.
        np.testing.assert_allclose(one, other, rtol=0, atol=70 * 10 * 2.0**-24, err_msg=name)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_a_constant_channel_has_no_deviation_and_a_finite_gradient(norm: str, mode: str) -> None:
    x = np.full(SHAPE, 3.0, np.float32)
    ones = np.ones(6, np.float32)
    y, mu, sigma, to_x, *_ = run(mode, norm, False, x, ones, ones, random(3, *SHAPE))
    np.testing.assert_array_equal(y, np.ones(SHAPE))
    np.testing.assert_array_equal((mu[0], sigma[0]), (3, 0))
    assert np.all(np.isfinite(to_x))


@pytest.mark.parametrize("mode", MODES)
def test_constant_statistics(mode: str) -> None:
    x, error = random(0, *SHAPE), random(1, *SHAPE)
    mu, gamma, beta = (random(seed, 6) for seed in (2, 3, 4))
    divisor = np.abs(random(5, 6)) + 1

    def step(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor):
        with tf.GradientTape() as tape:
            tape.watch([x, gamma, beta])
            y = normalize(x, tf.constant(mu), tf.constant(divisor), gamma, beta)
        return y, *tape.gradient(y, [x, gamma, beta], output_gradients=tf.constant(error))

    y, to_x, to_gamma, to_beta = MODES[mode](step)(*map(tf.constant, (x, gamma, beta)))
    x_hat = (x.astype(np.float64) - mu) / divisor
    # Few float32 operations on numbers up to 10; sums of 70 of them.
    np.testing.assert_allclose(y, x_hat * gamma + beta, rtol=0, atol=4 * 10 * 2.0**-24)
    np.testing.assert_allclose(to_x, error * gamma / divisor, rtol=0, atol=4 * 10 * 2.0**-24)
    few = {"rtol": 0, "atol": 70 * 10 * 2.0**-24}
    np.testing.assert_allclose(to_gamma, (error * x_hat).sum((0, 1, 2)), **few)
    np.testing.assert_allclose(to_beta, error.sum((0, 1, 2), np.float64), **few)


def test_gamma_and_beta_may_be_left_out() -> None:
    x = tf.constant(random(0, *SHAPE))
    ones, zeros = tf.ones(6), tf.zeros(6)
    statistics = {"norm": "l1", "epsilon": EPSILON, "mu_grid": MU, "sigma_grid": SIGMA}
    np.testing.assert_array_equal(
        normalize_batch(x, **statistics).y, normalize_batch(x, ones, zeros, **statistics).y
    )
    np.testing.assert_array_equal(
        normalize(x, zeros, 2 * ones), normalize(x, zeros, 2 * ones, ones, zeros)
    )
