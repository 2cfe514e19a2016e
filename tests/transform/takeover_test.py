"""A trained ResNet-50 taken over: each layer differs from the float one by what its grids explain.

Every layer of the quantized network is compared with the float layer of its name on the input that
the quantized one really receives, so that nothing accumulates and each bound is that of one layer.
"""

import keras
import numpy as np
import pytest

from tests.transform.networks import with_statistics
from tfquantseg.layers import BatchNorm, QuantConv2D, QuantEdge
from tfquantseg.policy import INTEGER
from tfquantseg.transform import quantize

HALF = 0.5 * 2.0**-7  # a step of 8 bits, relative to the limit
FINE = 0.5 * 2.0**-15  # the same of 16 bits
ROUNDING = 2.0**-18  # float32's sums of a few thousand products, relative to the largest value


@pytest.fixture(scope="module")
def resnet() -> keras.Model:
    keras.utils.set_random_seed(0)
    return with_statistics(
        keras.applications.ResNet50(weights=None, include_top=False, input_shape=(64, 64, 3))
    )


@pytest.fixture(scope="module")
def traced(resnet: keras.Model) -> dict[str, tuple]:
    """Each quantized layer that has a grid, with its input and output on one image."""
    quantized = quantize(resnet, INTEGER)
    layers = [
        layer
        for layer in quantized.layers
        if isinstance(layer, QuantConv2D | BatchNorm | QuantEdge)
    ]
    probe = keras.Model(quantized.input, [(layer.input, layer.output) for layer in layers])
    image = np.random.default_rng(2).normal(size=(1, 64, 64, 3)).astype(np.float32)
    values = keras.tree.map_structure(np.asarray, probe(image, training=False))
    return {layer.name: (layer, *ends) for layer, ends in zip(layers, values, strict=True)}


def _of(traced: dict, kind: type) -> list[tuple]:
    return [entry for entry in traced.values() if isinstance(entry[0], kind)]


def test_there_is_something_to_compare(traced: dict[str, tuple]) -> None:
    assert len(_of(traced, QuantConv2D)) == 53
    assert len(_of(traced, BatchNorm)) == 53


def test_activations_move_by_half_a_step_at_most(traced: dict[str, tuple]) -> None:
    for _, x, (integers, step) in _of(traced, QuantEdge):
        assert np.abs(integers).max() == 127
        assert np.abs(integers * step - x).max() <= 0.5 * step * (1 + 2.0**-15)


def test_convolutions_move_by_half_a_step_of_each_weight(
    resnet: keras.Model, traced: dict[str, tuple]
) -> None:
    for layer, (integers, step), y in _of(traced, QuantConv2D):
        original = resnet.get_layer(layer.name)
        x = integers * step
        expected = np.asarray(original(x))
        limits = np.asarray(layer.W_limit)
        reach = keras.ops.conv(
            np.abs(x),
            np.ones_like(original.kernel[..., :1]),
            strides=original.strides,
            padding=original.padding,
        )
        bound = HALF * limits * np.asarray(reach) + ROUNDING * np.abs(expected).max()
        assert (np.abs(y - expected) <= bound * (1 + 1e-5)).all(), layer.name


def test_batch_norms_move_by_half_a_step_of_each_object(
    resnet: keras.Model, traced: dict[str, tuple]
) -> None:
    for layer, x, y in _of(traced, BatchNorm):
        original = resnet.get_layer(layer.name)
        expected = np.asarray(original(x, training=False))
        mu, sigma = layer.moving_mu.numpy(), layer.moving_sigma.numpy() + layer.epsilon
        gamma = np.abs(layer.gamma.numpy())
        d_mu, d_sigma = (FINE * layer.limits[f"{name}_limit"] for name in ("mu", "sigma"))
        d_gamma, d_beta = (HALF * layer.limits[f"{name}_limit"] for name in ("gamma", "beta"))
        least = sigma - d_sigma
        x_hat = (np.abs(x - mu) + d_mu) / least
        d_x_hat = d_mu / least + np.abs(x - mu) / sigma * d_sigma / least
        bound = d_gamma * x_hat + gamma * d_x_hat + d_beta
        bound = bound + ROUNDING * np.abs(expected).max()
        assert (np.abs(y - expected) <= bound).all(), layer.name
