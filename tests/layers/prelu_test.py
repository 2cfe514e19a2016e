"""QuantPReLU is Keras's PReLU with slopes on a grid of 8 bits."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfquantseg.layers import QuantPReLU, object_table
from tfquantseg.policy import FLOAT, INTEGER


def _layer(policy=INTEGER, slopes=(0.3, -0.5, 1.2), limit=2.0) -> QuantPReLU:
    layer = QuantPReLU(policy, limit=limit, name="bent")
    layer.build((None, None, None, 3))
    layer.alpha.assign(slopes)
    return layer


X = np.linspace(-3, 3, 2 * 2 * 2 * 3, dtype=np.float32).reshape(2, 2, 2, 3)


def test_slopes_lie_on_the_grid() -> None:
    step = 2.0 / 128
    on_grid = np.round(np.float32([0.3, -0.5, 1.2]) / step) * step
    np.testing.assert_array_equal(_layer()(X), np.where(X < 0, on_grid * X, X))
    integers, found = _layer().quantized_slopes()
    assert found == step
    np.testing.assert_array_equal(integers, [19, -32, 77])


def test_equals_keras_without_a_grid() -> None:
    keras_layer = keras.layers.PReLU(shared_axes=[1, 2])
    keras_layer.build((None, None, None, 3))
    keras_layer.alpha.assign(np.float32([0.3, -0.5, 1.2]).reshape(1, 1, 3))
    np.testing.assert_array_equal(_layer(FLOAT)(X), keras_layer(X))


def test_the_gradient_is_that_of_the_slopes_on_the_grid() -> None:
    layer, x = _layer(), tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(layer(x))
    of_x, of_alpha = tape.gradient(total, [x, layer.alpha])
    slopes = np.float32([19, -32, 77]) / 64
    np.testing.assert_array_equal(of_x, np.where(X < 0, slopes, 1))
    # Sums of 8 values in float32.
    np.testing.assert_allclose(of_alpha, np.where(X < 0, X, 0).sum((0, 1, 2)), rtol=1e-6)


def test_comes_back_from_its_config_and_stands_in_the_table() -> None:
    copy = QuantPReLU.from_config(_layer().get_config())
    assert (copy.policy, copy.limit, copy.name) == (INTEGER, 2.0, "bent")
    x = keras.Input((4, 4, 3))
    rows = object_table(keras.Model(x, _layer()(x))).splitlines()
    assert rows[1].split() == ["bent", "alpha", "8", "limit", "2"]


@pytest.mark.parametrize("policy", [FLOAT, INTEGER.changed("k_gamma=12")])
def test_slopes_off_a_grid_of_8_bits_are_in_no_file(policy) -> None:
    with pytest.raises(ValueError, match=r"'bent': policy .* off a grid of 8 bits \(k_gamma="):
        _layer(policy).quantized_slopes()
