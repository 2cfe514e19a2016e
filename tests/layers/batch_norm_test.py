"""BatchNorm against its equations (Eq 9 - 14) and their derivatives, in float64 NumPy."""

import dataclasses
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.numerics import reference
from tests.two_devices import DEVICES, on_two_devices
from tfquantseg.layers import BatchNorm, clipped_statistics, deviation_ratio
from tfquantseg.policy import FLOAT, INTEGER, PAPER_FCN, Policy

NORMS = ("l1", "l2")
EPSILON = 1e-3
CHANNELS = 4


def with_norm(policy: Policy, norm: str) -> Policy:
    return dataclasses.replace(policy, norm=norm)


def data(shape: tuple[int, ...] = (4, 5, 6, CHANNELS), seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(0.3, 0.7, shape) * np.linspace(0.5, 1.2, shape[-1])).astype(np.float32)


def layer_of(policy: Policy, **arguments) -> BatchNorm:
    """Returns a built layer whose gamma and beta differ by channel and lie on no 8-bit grid."""
    layer = BatchNorm(policy, epsilon=EPSILON, name="norm", **arguments)
    layer.build((None, None, None, CHANNELS))
    layer.gamma.assign(np.linspace(0.61, 1.57, CHANNELS))
    layer.beta.assign(np.linspace(-0.83, 0.41, CHANNELS))
    return layer


def backward(layer: BatchNorm, x: np.ndarray, error: np.ndarray):
    """Returns the output of training and the gradients of x, gamma and beta."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
    sources = [x, layer.gamma.value, layer.beta.value]
    return [t.numpy() for t in (y, *tape.gradient(y, sources, tf.constant(error)))]


class Expected(NamedTuple):
    """Batch norm and its derivatives, in float64."""

    y: np.ndarray
    to_x: np.ndarray
    to_gamma: np.ndarray
    to_beta: np.ndarray
    mu: np.ndarray
    sigma: np.ndarray


def expected(layer: BatchNorm, x, error, e2=lambda e: e) -> Expected:
    """Returns what Eq 10 - 14 give; e2 quantizes the error at x_hat."""
    policy, limits, x = layer.policy, layer.limits, np.asarray(x, np.float64)

    def on_grid(value, k: int | None, limit: float) -> np.ndarray:
        return value if k is None else reference.uniform(value, k, limit)

    m = x[..., 0].size
    mu = x.mean((0, 1, 2))
    centred = x - mu
    if policy.norm == "l1":
        sigma = np.abs(centred).mean((0, 1, 2))
        slope = np.sign(centred) / m
    else:
        sigma = np.sqrt(np.square(centred).mean((0, 1, 2)))
        slope = centred / (m * sigma)
    mu_q = on_grid(mu, policy.k_mu, limits["mu_limit"])
    below = on_grid(sigma, policy.k_sigma, limits["sigma_limit"]) + layer.epsilon
    gamma = on_grid(layer.gamma.numpy(), policy.k_gamma, limits["gamma_limit"])
    beta = on_grid(layer.beta.numpy(), policy.k_beta, limits["beta_limit"])
    x_hat = (x - mu_q) / below
    x_hat_q = x_hat
    if policy.k_x_hat is not None:
        x_hat_q = reference.scale_quantized(x_hat, policy.k_x_hat)
    e = e2(error * gamma)
    to_sigma = -np.sum(e * x_hat / below, (0, 1, 2))
    to_centred = to_sigma * slope
    to_x = e / below + to_centred - (e / below + to_centred).mean((0, 1, 2))
    return Expected(
        gamma * x_hat_q + beta,
        to_x,
        np.sum(error * x_hat_q, (0, 1, 2)),
        np.sum(error, (0, 1, 2)),
        mu,
        sigma,
    )


# Forward.


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("policy", [FLOAT, PAPER_FCN], ids=lambda policy: policy.name)
def test_training_normalizes_by_the_batch(policy, norm):
    layer, x = layer_of(with_norm(policy, norm)), data()
    y = layer(tf.constant(x), training=True).numpy()
    # Float32 against float64, and on grids one step of x_hat's 16 bits: max|x_hat| of about 4,
    # gamma below 2, 2**-15.
    atol = 1e-5 if policy is FLOAT else 4 * 2 * 2.0**-15
    np.testing.assert_allclose(y, expected(layer, x, np.zeros_like(x)).y, rtol=0, atol=atol)


@pytest.mark.parametrize("norm", NORMS)
def test_inference_normalizes_by_the_moving_statistics_on_their_grids(norm):
    layer, x = layer_of(with_norm(INTEGER, norm), mu_limit=8.0, sigma_limit=4.0), data()
    mu, sigma = np.linspace(-3.3, 7.1, CHANNELS), np.linspace(0.23, 3.1, CHANNELS)
    layer.moving_mu.assign(mu)
    layer.moving_sigma.assign(sigma)
    mu, sigma = reference.uniform(mu, 16, 8.0), reference.uniform(sigma, 16, 4.0)
    gamma = reference.uniform(layer.gamma.numpy(), 8, 2.0)
    beta = reference.uniform(layer.beta.numpy(), 8, 2.0)
    y = layer(tf.constant(x)).numpy()
    # Float32 against float64: four roundings of values below 64.
    np.testing.assert_allclose(y, gamma * ((x - mu) / (sigma + EPSILON)) + beta, atol=64 * 2**-22)


def test_statistics_are_clipped_at_their_limits():
    layer = layer_of(INTEGER, mu_limit=1.0, sigma_limit=0.5)
    layer.moving_mu.assign([5.0] * CHANNELS)
    layer.moving_sigma.assign([5.0] * CHANNELS)
    layer.beta.assign([0.0] * CHANNELS)
    layer.gamma.assign([1.0] * CHANNELS)
    y = layer(tf.zeros([1, 1, 1, CHANNELS])).numpy()
    last = 1 - 2.0**-15
    np.testing.assert_allclose(y, -last / (0.5 * last + EPSILON), rtol=1e-6)  # float32


def test_x_hat_on_8_bits_has_at_most_255_values():
    layer = layer_of(dataclasses.replace(INTEGER, k_x_hat=8))
    layer.gamma.assign([1.0] * CHANNELS)
    layer.beta.assign([0.0] * CHANNELS)
    y = layer(tf.constant(data()), training=True).numpy()
    steps = y / (np.max(np.abs(y)) / 127)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-4)  # float32 of up to 127 steps


@pytest.mark.parametrize(("center", "scale"), [(False, True), (True, False), (False, False)])
def test_without_center_or_scale(center, scale):
    layer = BatchNorm(FLOAT, center=center, scale=scale, epsilon=EPSILON)
    y = layer(tf.constant(data()), training=True).numpy()
    assert len(layer.trainable_variables) == center + scale
    whole = layer_of(FLOAT)
    whole.gamma.assign([1.0] * CHANNELS)
    whole.beta.assign([0.0] * CHANNELS)
    np.testing.assert_array_equal(y, whole(tf.constant(data()), training=True))


def test_deviation_ratio_is_that_of_a_normal_distribution():
    x = np.random.default_rng(0).normal(size=400_000)
    # The mean absolute deviation's standard error is 0.6 / sqrt(400,000); five of them.
    assert abs(np.mean(np.abs(x)) - deviation_ratio("l1")) < 5e-3
    assert deviation_ratio("l2") == 1


# Backward.


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("policy", [FLOAT, PAPER_FCN], ids=lambda policy: policy.name)
def test_gradients_are_the_derivatives_straight_through_the_grids(policy, norm):
    layer, x, error = layer_of(with_norm(policy, norm)), data(), data(seed=1)
    _, to_x, to_gamma, to_beta = backward(layer, x, error)
    wanted = expected(layer, x, error)
    # Float32 sums of 120 elements; on grids, flipped steps of 16 bits besides.
    slack = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(to_x, wanted.to_x, **slack)
    np.testing.assert_allclose(to_gamma, wanted.to_gamma, rtol=1e-4, atol=120 * 2.0**-14)
    np.testing.assert_allclose(to_beta, wanted.to_beta, **slack)


@pytest.mark.parametrize("norm", NORMS)
def test_e2_is_quantized_at_x_hat(norm):
    policy = dataclasses.replace(FLOAT, norm=norm, k_E2=4, step="max/128", rounding="half_up")
    policy = dataclasses.replace(policy, E_rounding="nearest")
    x, error = data(), data(seed=1)
    layer = layer_of(policy, quantize_error=True)
    got = backward(layer, x, error)[1]
    wanted = expected(layer, x, error, lambda e: reference.scale_quantized(e, 4)).to_x
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)  # float32 sums of 120
    without = layer_of(policy)
    exact = backward(without, x, error)[1]
    np.testing.assert_allclose(exact, expected(without, x, error).to_x, rtol=1e-4, atol=1e-5)
    assert np.max(np.abs(exact - got)) > 1e-2  # 4 bits are coarse


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("policy", [FLOAT, INTEGER, PAPER_FCN], ids=lambda policy: policy.name)
def test_a_constant_channel_keeps_finite_gradients(policy, norm):
    layer, x = layer_of(with_norm(policy, norm), quantize_error=True), data()
    x[..., 1] = 0.5
    y, to_x, to_gamma, to_beta = backward(layer, x, data(seed=1))
    for tensor in (y, to_x, to_gamma, to_beta):
        assert np.isfinite(tensor).all()
    beta = layer.beta.numpy()[1]
    # x_hat is 0 there, or one step of mu's 16-bit grid over epsilon where 0.5 is rounded.
    np.testing.assert_allclose(y[..., 1], beta, atol=2.0**-7 if policy.k_beta else 1e-6)
    assert layer.moving_sigma.numpy()[1] == np.float32(0.99)


# Moving statistics.


@pytest.mark.parametrize("norm", NORMS)
def test_moving_statistics_follow_the_batches_of_training(norm):
    layer, (mu, sigma) = layer_of(with_norm(INTEGER, norm), momentum=0.75), (0.0, 1.0)
    for step in range(3):
        x = data(seed=step)
        layer(tf.constant(x), training=True)
        batch = expected(layer, x, np.zeros_like(x))
        mu, sigma = 0.75 * mu + 0.25 * batch.mu, 0.75 * sigma + 0.25 * batch.sigma
    layer(tf.constant(data(seed=9)), training=False)
    np.testing.assert_allclose(layer.moving_mu.numpy(), mu, atol=1e-6)  # float32
    np.testing.assert_allclose(layer.moving_sigma.numpy(), sigma, atol=1e-6)


def test_a_loaded_layer_is_the_saved_one(tmp_path):
    inputs = keras.Input([5, 6, CHANNELS])
    policy = with_norm(PAPER_FCN, "l2")
    layer = layer_of(policy, mu_limit=4.0, momentum=0.5, quantize_error=True)
    model = keras.Model(inputs, layer(inputs))
    model(tf.constant(data()), training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    again = loaded.get_layer("norm")
    assert again.get_config() == layer.get_config()
    assert again.policy == policy
    assert again.gamma.update_rule == layer.gamma.update_rule
    x = tf.constant(data(seed=3))
    for training in (False, True, False):
        np.testing.assert_array_equal(model(x, training=training), loaded(x, training=training))


def test_the_optimizer_is_told_each_variables_limit():
    layer = layer_of(INTEGER, gamma_limit=4.0, beta_limit=8.0)
    assert layer.gamma.update_rule == INTEGER.update_rule(4.0, -1, decays=False)
    assert layer.beta.update_rule == INTEGER.update_rule(8.0, -1, decays=False)
    assert len(layer.non_trainable_variables) == 3


# Several devices.


def on_replicas(policy: Policy, x: np.ndarray, error: np.ndarray) -> dict[str, np.ndarray]:
    """Returns outputs, gradients and statistics of two replicas with half of the batch each."""
    strategy = tf.distribute.MirroredStrategy(DEVICES)
    with strategy.scope():
        layer = layer_of(policy)

    def half(array: np.ndarray):
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(np.split(array, 2)[context.replica_id_in_sync_group])
        )

    def step(x: tf.Tensor, error: tf.Tensor):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        return y, tape.gradient(y, x, error)

    def joined(values) -> np.ndarray:
        parts = strategy.experimental_local_results(values)
        return np.concatenate([np.atleast_1d(part.numpy()) for part in parts])

    y, to_x = tf.function(lambda x, e: strategy.run(step, (x, e)))(half(x), half(error))
    return {
        "y": joined(y),
        "to_x": joined(to_x),
        "mu": joined(layer.moving_mu.value),
        "sigma": joined(layer.moving_sigma.value),
    }


def on_replicas_with_both_norms(x: np.ndarray, error: np.ndarray) -> list:
    return [on_replicas(with_norm(FLOAT, norm), x, error) for norm in NORMS]


def test_two_replicas_compute_what_one_does_on_the_whole_batch():
    x, error = data(), data(seed=1)
    x[:2] += 1  # halves whose own statistics differ
    for norm, got in zip(NORMS, on_two_devices(on_replicas_with_both_norms, x, error), strict=True):
        layer = layer_of(with_norm(FLOAT, norm))
        y, to_x, *_ = backward(layer, x, error)
        # Float32 sums of 120 elements, in another order.
        np.testing.assert_allclose(got["y"], y, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(got["to_x"], to_x, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(got["mu"], np.tile(layer.moving_mu.numpy(), 2), atol=1e-6)
        np.testing.assert_allclose(got["sigma"], np.tile(layer.moving_sigma.numpy(), 2), atol=1e-6)


def test_clipped_statistics_are_counted_and_named() -> None:
    image = keras.Input((4, 4, 2))
    model = keras.Model(image, BatchNorm(INTEGER, mu_limit=1.0, sigma_limit=1.0, name="bn")(image))
    x = np.random.default_rng(0).normal(size=(8, 4, 4, 2)).astype(np.float32)
    model(x, training=True)
    assert clipped_statistics(model) == {}
    model(x + np.array([0, 5], np.float32), training=True)  # mu of one channel of two
    assert clipped_statistics(model) == {"bn": 0.5}
    model(x * np.array([9, 9], np.float32), training=True)  # sigma of both
    assert clipped_statistics(model) == {"bn": 1.0}
    model(x, training=False)
    assert clipped_statistics(model) == {"bn": 1.0}  # of the last training step
