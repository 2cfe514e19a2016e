"""Whole steps of training with own ops, bit for bit those with TensorFlow's ops only."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.kernels.values import needs_own_ops
from tfquantseg import kernels
from tfquantseg.optimizer import IntegerSGD
from tfquantseg.policy import preset
from tfquantseg.transform import quantize

pytestmark = needs_own_ops


def network() -> keras.Model:
    """One convolution of each kind, and no batch norm, whose sums are taken in another order."""
    layers = keras.layers
    image = keras.Input((16, 24, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="conv")(image)
    skip = x = layers.MaxPool2D()(x)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise")(x)
    x = layers.Conv2D(8, 3, padding="same", dilation_rate=2, name="dilated")(x)
    x = layers.Add()([x, skip])
    x = layers.Conv2DTranspose(5, 4, strides=2, padding="same", name="transposed")(x)
    return keras.Model(image, x)


def trained(name: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Returns the model's weights and the optimizer's after three steps."""
    keras.utils.set_random_seed(1)
    model = quantize(network(), preset(name))
    optimizer = IntegerSGD(2.0**-7, momentum=0.9375, decay=2.0**-11)
    optimizer.build(model.trainable_variables)

    @tf.function(autograph=False)
    def step(images: tf.Tensor, labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)

    random = np.random.default_rng(0)
    for _ in range(3):
        images = tf.constant(random.integers(0, 256, (2, 16, 24, 3)), tf.float32)
        step(images, tf.constant(random.integers(0, 5, (2, 16, 24)), tf.int32))
    return [w.numpy() for w in model.weights], [v.numpy() for v in optimizer.variables]


@pytest.mark.parametrize("name", ["INTEGER", "PAPER_FCN"])
def test_three_steps(name: str) -> None:
    results = []
    for ops in (contextlib.nullcontext(), kernels.stock()):
        with ops:
            results.append(trained(name))
    (own_weights, own_state), (weights, state) = results
    assert all(np.any(w != 0) and np.all(np.isfinite(w)) for w in weights if w.ndim == 4)
    for own, stock in zip([*own_weights, *own_state], [*weights, *state], strict=True):
        np.testing.assert_array_equal(own, stock)
