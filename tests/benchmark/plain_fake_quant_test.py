"""Fake quantization written plainly: 8 bits around each convolution, forward and backward."""

import keras
import numpy as np
import tensorflow as tf

from tfquantseg import models
from tfquantseg.benchmark import plain_fake_quant


def _rounded(x: np.ndarray) -> np.ndarray:
    step = np.abs(x).max() / 127
    return np.rint(x / step) * step


def test_values_are_rounded_to_127_steps_of_their_largest() -> None:
    x = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    # A value whose quotient lies within float32's rounding of a half may go the other way.
    largest = np.abs(x).max() / 127
    rounded = plain_fake_quant.fake_quantized(tf.constant(x)).numpy()
    assert np.abs(rounded - _rounded(x)).max() < 1e-5 * largest
    assert len(np.unique(np.rint(rounded / largest))) > 10


def test_the_error_is_rounded_and_the_value_is_not() -> None:
    random = np.random.default_rng(0)
    x, error = (tf.constant(random.normal(size=(6, 6)), tf.float32) for _ in range(2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = plain_fake_quant.error_fake_quantized(x)
        total = tf.reduce_sum(y * error)
    np.testing.assert_array_equal(y, x)
    # As above: float32's rounding of the quotient, relative to a step.
    gradient = tape.gradient(total, x).numpy()
    assert np.abs(gradient - _rounded(error.numpy())).max() < 1e-5 * np.abs(error).max() / 127


def test_every_convolution_is_replaced_and_the_function_stays_near() -> None:
    model = models.residual_unet(3, width=4, input_size=(32, 32))
    copied = plain_fake_quant.fake_quant(model)
    for layer in copied.layers:
        assert type(layer) not in (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
    kinds = (plain_fake_quant.FakeQuantConv2D, plain_fake_quant.FakeQuantConv2DTranspose)
    replaced = [layer for layer in copied.layers if isinstance(layer, kinds)]
    assert len(replaced) == sum(isinstance(one, keras.layers.Conv2D) for one in model.layers) + 1
    bytes_ = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    expected, received = model(bytes_).numpy(), copied(bytes_).numpy()
    assert np.corrcoef(expected.ravel(), received.ravel())[0, 1] > 0.99  # 8 bits keep that much
    assert np.abs(expected - received).max() > 0
