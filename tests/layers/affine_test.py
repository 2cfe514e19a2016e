"""Affine layers: constants times and plus a tensor, and the constants of Keras's own layers."""

import keras
import numpy as np
import pytest

from tfquantseg.layers import Affine, QuantPReLU, factor_and_offset, is_affine, object_table
from tfquantseg.policy import INTEGER

L = keras.layers
X = np.linspace(-3, 3, 2 * 2 * 3, dtype=np.float32).reshape(1, 2, 2, 3)


def _normalization(invert: bool) -> keras.layers.Layer:
    layer = L.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 9.0, 0.0], invert=invert)
    layer.build((None, 2, 2, 3))
    return layer


class LayerScale(keras.layers.Layer):
    """As keras.applications has it for ConvNeXt."""

    def build(self, _) -> None:
        self.gamma = self.add_weight(shape=(3,), initializer=keras.initializers.Constant(0.25))

    def call(self, x):
        return x * self.gamma


def _scaled() -> keras.layers.Layer:
    layer = LayerScale()
    layer.build(None)
    return layer


@pytest.mark.parametrize(
    "layer",
    [
        Affine([2.0], [0.5]),
        Affine([2.0, -1.0, 0.0], [0.5]),
        L.Rescaling(1 / 127.5, offset=-1),
        L.Rescaling([1.0, 2.0, 3.0]),
        _normalization(invert=False),
        _normalization(invert=True),
        _scaled(),
    ],
)
def test_constants_are_what_the_layer_computes(layer: keras.layers.Layer) -> None:
    assert is_affine(layer)
    factor, offset = factor_and_offset(layer)
    # float32's last bits; a variance of 0 makes factors of 1e7.
    np.testing.assert_allclose(layer(X), X * factor + offset, rtol=1e-5, atol=1e-6)


def test_hard_sigmoid_is_affine_before_it_is_clipped() -> None:
    factor, offset = factor_and_offset(L.Activation("hard_sigmoid"))
    expected = np.clip(X * factor + offset, 0, 1)
    # float32's last bit
    np.testing.assert_allclose(L.Activation("hard_sigmoid")(X), expected, rtol=1e-6)


def test_a_trained_scale_stands_in_the_table() -> None:
    x = keras.Input((2, 2, 3))
    scaled = keras.Model(x, LayerScale(name="scale")(QuantPReLU(INTEGER, name="bent")(x)))
    assert object_table(scaled).splitlines()[-1].split() == ["scale", "gamma", "float", "-"]


def test_others_are_not() -> None:
    assert not any(map(is_affine, [L.ReLU(), L.BatchNormalization(), L.Conv2D(1, 1)]))


def test_comes_back_from_its_config() -> None:
    copy = Affine.from_config(Affine([2.0, 3.0], [0.5], name="a").get_config())
    assert (copy.factor, copy.offset, copy.name) == ((2.0, 3.0), (0.5,), "a")
