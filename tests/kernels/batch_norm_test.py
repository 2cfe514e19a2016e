"""Batch norm by own ops, against TensorFlow's ops and their automatic derivative."""

import numpy as np
import pytest
import tensorflow as tf

from tests.kernels.values import KINDS, SHAPES, needs_own_ops, of_kind
from tfquantseg import kernels
from tfquantseg.numerics import Uniform, normalize, normalize_batch

pytestmark = needs_own_ops


def step(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, error: tf.Tensor, norm: str):
    with tf.GradientTape() as tape:
        tape.watch([x, gamma, beta])
        y, mu, sigma = normalize_batch(
            x,
            gamma,
            beta,
            norm=norm,
            epsilon=1e-3,
            mu_grid=Uniform(16, 16.0),
            sigma_grid=Uniform(16, 16.0),
        )
    return [y, mu, sigma, *tape.gradient(y, [x, gamma, beta], output_gradients=error)]


@pytest.mark.parametrize("shape", [*SHAPES[2:], (4, 33, 35, 24), (1, 1, 3, 2500)])
@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_value_and_gradient(norm: str, shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(shape)
    # No x lies on its channel's mean, where the sign of a rounding error would decide.
    x = random.choice([-1, 1], shape) * random.uniform(0.5, 2, shape) * 8
    arguments = [
        tf.constant(part, tf.float32)
        for part in (x, random.normal(size=shape[-1]), random.normal(size=shape[-1]), x[::-1])
    ]
    own = step(*arguments, norm)
    with kernels.stock():
        stock = step(*arguments, norm)
    names = ("y", "mu", "sigma", "x", "gamma", "beta")
    for name, one, other in zip(names, own, stock, strict=True):
        # Own sums are nearly exact. Each of TensorFlow's few float32 sums is wrong by some ulps of
        # its terms' root sum of squares; where mu or sigma fall between two values of their grid,
        # such an error makes them a step of 2^-11, 2^-11 / 8 of y, larger.
        bound = 2.0**-12 * np.abs(other).max() + 2.0**-12
        np.testing.assert_allclose(one, other, rtol=0, atol=bound, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_constant_statistics_bit_for_bit(kind: str) -> None:
    for shape in SHAPES:
        x = tf.constant(of_kind(kind, shape))
        mu, divisor, gamma, beta = (
            tf.constant(np.random.default_rng(seed).uniform(0.5, 2, shape[-1]), tf.float32)
            for seed in range(4)
        )
        own = normalize(x, mu, divisor, gamma, beta)
        with kernels.stock():
            np.testing.assert_array_equal(own, normalize(x, mu, divisor, gamma, beta))


def test_a_batch_that_is_not_finite_stays_visible() -> None:
    x = of_kind("nan", (2, 3, 3, 4))
    channel = np.argwhere(np.isnan(x))[0][-1]
    ones = tf.ones(4)
    y, mu, sigma, to_x, *_ = step(tf.constant(x), ones, ones, tf.ones(x.shape), "l1")
    for part in (y, mu, sigma, to_x):
        assert np.all(np.isnan(part[..., channel]))
        assert np.all(np.isfinite(np.delete(part, channel, -1)))


def test_the_sums_do_not_depend_on_the_threads() -> None:
    """Several chunks, summed again and again: what a thread takes differs, the bits do not."""
    x = tf.constant(of_kind("normal", (4, 64, 64, 48)))
    first = kernels.ops().tfquantseg_channel_means(x, tf.zeros(48), of="magnitude")
    for _ in range(20):
        again = kernels.ops().tfquantseg_channel_means(x, tf.zeros(48), of="magnitude")
        np.testing.assert_array_equal(again, first)
    exact = np.abs(x.numpy()).mean((0, 1, 2), dtype=np.float64)
    # At most 64 additions in float32 before float64 takes over, of which half round up.
    np.testing.assert_allclose(first, exact, rtol=2.0**-22)
