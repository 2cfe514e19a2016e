"""The presets of the authors' code, in a network: what they drop, and that it trains."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.transform.networks import conv, image, inputs_of
from tfquantseg.layers import QuantConv2D
from tfquantseg.policy import FLOAT, Rules, preset
from tfquantseg.transform import quantize


def _network() -> keras.Model:
    x = image()
    y = keras.layers.ReLU(name="relu")(conv(x, "first"))
    y = conv(y, "second", use_bias=False)
    y = keras.layers.BatchNormalization(name="second_bn")(y)
    return keras.Model(x, conv(keras.layers.ReLU(name="relu2")(y), "logits"))


@pytest.mark.parametrize("name", ["AUTHORS_FCN", "AUTHORS_DEEPLAB"])
def test_biases_are_dropped_and_every_variable_trains(name: str) -> None:
    model = _network()
    model.get_layer("first").bias.assign([1.0, 2.0, 3.0, 4.0])
    quantized = quantize(model, preset(name))
    convolutions = [layer for layer in quantized.layers if isinstance(layer, QuantConv2D)]
    assert [layer.use_bias for layer in convolutions] == [False] * 3
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(quantized(inputs_of(model), training=True) - 1))
    for gradient in tape.gradient(loss, quantized.trainable_variables):
        assert np.isfinite(gradient).all() and np.any(gradient)


def test_a_rule_keeps_their_float_layers_float() -> None:
    rules = Rules((("first|logits", FLOAT), (".*", preset("AUTHORS_DEEPLAB"))))
    quantized = quantize(_network(), rules)
    convolutions = [layer for layer in quantized.layers if isinstance(layer, QuantConv2D)]
    assert [layer.name for layer in convolutions] == ["second"]
    assert quantized.get_layer("first").use_bias


def test_activations_on_the_unit_grid_are_not_clipped() -> None:
    model = _network()
    quantized = quantize(model, preset("AUTHORS_FCN"))
    edge = quantized.get_layer("relu_A")
    integers, step = edge(tf.constant([[[[2.5, 0.001, -3.0]]]]))
    assert float(step) == 2.0**-7
    np.testing.assert_array_equal(integers, [[[[320, 0, -384]]]])
