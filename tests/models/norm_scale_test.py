"""Moving scale into batch norms: the function stays, what was too large fits, the rest stays."""

import keras
import numpy as np
import pytest
from keras import layers

from tfquantseg.models import move_scale_into_norms

_KINDS = {
    "conv2d": lambda bias: layers.Conv2D(6, 3, use_bias=bias, name="conv"),
    "depthwise": lambda bias: layers.DepthwiseConv2D(
        3, depth_multiplier=2, use_bias=bias, name="conv"
    ),
    "transposed": lambda bias: layers.Conv2DTranspose(6, 3, use_bias=bias, name="conv"),
}


def _model(kind: str, *, bias: bool = True, scale: bool = True) -> keras.Model:
    """A convolution and a batch norm, of which each channel has something else too large."""
    image = keras.Input((8, 8, 3))
    x = _KINDS[kind](bias)(image)
    x = layers.BatchNormalization(scale=scale, name="norm")(x)
    model = keras.Model(image, layers.ReLU()(x))
    random = np.random.default_rng(3)
    norm = model.get_layer("norm")
    for weight in (*model.get_layer("conv").weights, *norm.weights):
        weight.assign(random.uniform(-0.5, 0.5, weight.shape))
    norm.moving_mean.assign([9.0, 0.1, 0.1, 0.1, -2.5, 0.1])
    norm.moving_variance.assign([1.0, 30.0, 1.0, 1.0, 1e-6, 0.5])
    kernel = model.get_layer("conv").kernel
    channel_2 = {"conv2d": np.s_[0, 0, 0, 2], "depthwise": np.s_[0, 0, 1, 0]}
    value = kernel.numpy()
    value[channel_2.get(kind, np.s_[0, 0, 2, 0])] = -7.0
    kernel.assign(value)
    if bias:
        model.get_layer("conv").bias.assign([0.1, 0.1, 0.1, 3.0, 0.1, 0.1])
    return model


@pytest.mark.parametrize("kind", list(_KINDS))
def test_the_function_stays_and_the_limits_hold(kind: str) -> None:
    model = _model(kind)
    last = model.get_layer("conv").bias.numpy()[5]
    image = np.random.default_rng(4).normal(size=(2, 8, 8, 3)).astype(np.float32)
    before = np.asarray(model(image))
    assert move_scale_into_norms(model) == {"conv": 5}
    # Float32's rounding of what a small sigma enlarges.
    np.testing.assert_allclose(model(image), before, rtol=0, atol=3e-6 * before.max())
    conv, norm = model.get_layer("conv"), model.get_layer("norm")
    assert np.abs(conv.kernel).max() == 7.0 / 8
    np.testing.assert_allclose(norm.moving_mean, [9 / 8, 0.1 / 4, 0.1 / 8, 0.1 / 4, -2.5 / 2, 0.1])
    assert np.abs(conv.bias).max() == 0.75
    assert conv.bias.numpy()[5] == last  # what fits stays
    deviation = np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
    assert max(np.abs(norm.moving_mean).max(), deviation.max()) <= 2 * (1 - 2.0**-15)


def test_a_variance_below_epsilon_goes_into_gamma() -> None:
    model = _model("conv2d")
    gamma = float(model.get_layer("norm").gamma.numpy()[4])
    move_scale_into_norms(model)
    norm = model.get_layer("norm")
    assert norm.moving_variance.numpy()[4] == 0
    # sigma'^2 + eps = eps where c^2 (1e-6 + eps) with c = 1/2 was wanted.
    expected = gamma * np.sqrt(1e-3 / ((1e-6 + 1e-3) / 4))
    assert norm.gamma.numpy()[4] == pytest.approx(expected, rel=1e-5)  # float32


def test_without_gamma_only_what_keeps_the_function_is_moved() -> None:
    model = _model("conv2d", bias=False, scale=False)
    image = np.random.default_rng(5).normal(size=(2, 8, 8, 3)).astype(np.float32)
    before = np.asarray(model(image))
    assert move_scale_into_norms(model) == {"conv": 3}
    np.testing.assert_allclose(model(image), before, rtol=0, atol=3e-6 * before.max())
    # Halved, its variance would have to be negative.
    assert model.get_layer("norm").moving_mean.numpy()[4] == -2.5


def test_what_somebody_else_reads_stays() -> None:
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(2, 1, kernel_initializer=keras.initializers.Constant(5.0), name="conv")(image)
    model = keras.Model(image, [layers.BatchNormalization()(x), x])
    assert move_scale_into_norms(model) == {}
    assert np.abs(model.get_layer("conv").kernel).max() == 5


def test_a_layer_called_twice_is_refused() -> None:
    image = keras.Input((8, 8, 3))
    conv = layers.Conv2D(3, 1)
    x = layers.BatchNormalization()(conv(image))
    with pytest.raises(ValueError, match="called a second time"):
        move_scale_into_norms(keras.Model(image, layers.BatchNormalization()(conv(x))))
