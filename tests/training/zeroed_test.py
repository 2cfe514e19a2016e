"""Shares that grids round to zero, against NumPy; and that measuring changes nothing."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training import tiny
from tfquantseg.layers import QuantEdge
from tfquantseg.losses import softmax_cross_entropy
from tfquantseg.policy import FLOAT, INTEGER
from tfquantseg.training.zeroed import ZeroedShares
from tfquantseg.transform import quantize

IGNORE = 255


def _batch() -> tuple[tf.Tensor, tf.Tensor]:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (2, 8, 8, 3)).astype(np.float32)
    return tf.constant(images), tf.constant(random.integers(0, 2, (2, 8, 8)).astype(np.int32))


def _model() -> keras.Model:
    keras.utils.set_random_seed(1)
    return quantize(tiny.dropout_model(), INTEGER)


def test_activations_against_numpy() -> None:
    model = _model()
    shares = ZeroedShares(model, softmax_cross_entropy, IGNORE).of(*_batch())
    edges = [layer for layer in model.layers if isinstance(layer, QuantEdge)]
    (edge,) = (edge for edge in edges if edge.name.startswith("conv"))
    before = keras.Model(model.input, edge.input)(_batch()[0], training=False).numpy()
    integers = np.round(before * 127 / np.abs(before).max())
    expected = np.mean(integers[before != 0] == 0)
    assert expected > 0
    # Half a step is a tie that float32 may break either way: one value of 384.
    assert shares[f"{edge.name}/A"] == pytest.approx(expected, abs=1 / before.size)


def test_errors_of_every_convolution_are_measured() -> None:
    shares = ZeroedShares(_model(), softmax_cross_entropy, IGNORE).of(*_batch())
    measured = {name.split("/")[0] for name in shares if name.endswith(("E1", "E2"))}
    assert {"conv", "logits"} <= measured
    assert all(0 <= share < 1 for share in shares.values())


def test_a_float_model_rounds_nothing() -> None:
    model = quantize(tiny.dropout_model(), FLOAT)
    assert ZeroedShares(model, softmax_cross_entropy, IGNORE).of(*_batch()) == {}


def test_measuring_changes_no_variable() -> None:
    model = _model()
    before = [variable.numpy() for variable in model.variables]
    ZeroedShares(model, softmax_cross_entropy, IGNORE).of(*_batch())
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value, variable.path)
