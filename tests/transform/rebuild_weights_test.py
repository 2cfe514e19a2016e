"""What the rebuilt layers take over: batch norms, weights, statistics, dropout."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers

from tests.transform import networks
from tests.transform.networks import FINE, conv, conv_bn_relu, error, image, inputs_of, network
from tfquantseg.layers import QuantDropout
from tfquantseg.policy import FLOAT, INTEGER, Policy
from tfquantseg.transform import quantize

# Batch norm.


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}], ids=str)
def test_batch_norm_is_taken_over(norm, options) -> None:
    def body(x):
        x = conv(x, "conv", 6)
        return layers.BatchNormalization(name="norm", momentum=0.9, epsilon=1e-2, **options)(x)

    model = network(body, "net")
    policy: Policy = dataclasses.replace(FINE, norm=norm)
    quantized = quantize(model, policy)
    # As for every network on fine grids.
    assert error(quantized(inputs_of(model)), model(inputs_of(model))) < 5e-5
    old, new = model.get_layer("norm"), quantized.get_layer("norm")
    ratio = np.sqrt(2 / np.pi) if norm == "l1" and old.scale else 1.0
    deviation = ratio * np.sqrt(old.moving_variance.numpy() + 1e-2)
    # float32's own rounding.
    np.testing.assert_allclose(new.moving_sigma.numpy() + 1e-2, deviation, rtol=1e-6)
    np.testing.assert_array_equal(new.moving_mu.numpy(), old.moving_mean.numpy())
    assert (new.momentum, new.epsilon) == (0.9, 1e-2)
    if old.scale:
        np.testing.assert_allclose(new.gamma.numpy(), ratio * old.gamma.numpy(), rtol=1e-6)


def test_without_a_gamma_training_uses_the_deviation_that_was_taken_over() -> None:
    def body(x):
        return layers.BatchNormalization(scale=False, name="norm")(conv(x, "conv"))

    quantized = quantize(network(body, "net"), INTEGER)
    assert quantized.get_layer("norm").policy.norm == "l2"


def test_8_bit_batch_norm_moves_a_function_by_its_grids_alone() -> None:
    model = network(lambda x: conv_bn_relu(x, "conv", 6), "net")
    grids = dataclasses.replace(INTEGER, k_W=22, k_A=22)
    # gamma and beta: half a step of limits 2 to 4 on 8 bits is up to 0.016; x_hat stays below 5.
    largest = float(np.abs(model(inputs_of(model))).max())
    moved = error(quantize(model, grids)(inputs_of(model)), model(inputs_of(model)))
    assert 0 < moved < 0.016 * 6 / largest


# Weights.


def test_masters_lie_on_their_24_bit_grids() -> None:
    model = network(networks.residual)
    quantized = quantize(model, INTEGER)
    for layer in quantized.layers:
        for variable in layer.trainable_variables:
            rule = variable.update_rule
            on_grid = rule.U(variable.value)
            np.testing.assert_array_equal(variable.numpy(), on_grid, err_msg=variable.path)
    kernel, taken = model.get_layer("logits").kernel, quantized.get_layer("logits").kernel
    # Limits below 4: half a step of 2**-21.
    np.testing.assert_allclose(taken.numpy(), kernel.numpy(), atol=2.0**-22)


def test_what_was_frozen_stays_frozen() -> None:
    model = network(networks.residual)
    model.get_layer("block_1").trainable = False
    model.get_layer("block_1_bn").trainable = False
    quantized = quantize(model, INTEGER)
    trained = {variable.path.split("/")[0] for variable in quantized.trainable_variables}
    assert trained == {"stem", "stem_bn", "block_2", "block_2_bn", "logits"}


@pytest.mark.parametrize("policy", [FLOAT, INTEGER], ids=lambda policy: policy.name)
def test_an_adapted_normalization_keeps_its_statistics(policy) -> None:
    norm = layers.Normalization(name="norm")
    norm.adapt(np.random.default_rng(0).normal(5, 3, [8, 4, 4, 3]))
    model = network(lambda x: conv(norm(x), "conv"), "net")
    # INTEGER: two tensors and the weights on 8 bits.
    bound = 0 if policy is FLOAT else 0.03
    assert error(quantize(model, policy)(inputs_of(model)), model(inputs_of(model))) <= bound


# Dropout.


def dropped(rate: float = 0.5, spatial: bool = False) -> keras.Model:
    kind = layers.SpatialDropout2D if spatial else layers.Dropout
    x = image(8)
    ones = layers.Identity(name="kept")(x)
    joined = layers.Concatenate(name="join")([kind(rate, seed=3, name="drop")(x), ones])
    model = keras.Model(x, conv(joined, "conv", 16, 1, use_bias=False))
    model.get_layer("conv").set_weights([np.eye(16)[None, None]])
    return model


@pytest.mark.parametrize("spatial", [False, True])
def test_dropped_members_of_a_concatenation_keep_their_scale(spatial) -> None:
    quantized = quantize(dropped(spatial=spatial), FINE)
    assert isinstance(quantized.get_layer("drop"), QuantDropout)
    x = np.random.default_rng(0).normal(size=[2, 16, 16, 8]).astype(np.float32)
    y = np.array(quantized(x, training=True))
    # 22 bits of a step that covers 2 * max|x|, about 8.
    np.testing.assert_allclose(y[..., 8:], x, atol=1e-5)
    kept = y[..., :8] != 0
    np.testing.assert_allclose(y[..., :8][kept], 2 * x[kept], atol=1e-5)
    # 4,096 draws, or 16 of whole channels, at one half: four standard deviations.
    draws = 16 if spatial else 4096
    assert abs(kept.mean() - 0.5) < 4 * 0.5 / np.sqrt(draws)
    if spatial:
        assert np.isin(kept.mean((1, 2)), (0, 1)).all()
    np.testing.assert_allclose(np.array(quantized(x))[..., :8], x, atol=1e-5)
