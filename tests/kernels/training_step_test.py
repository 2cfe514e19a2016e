"""Whole steps of training with own ops: bit for bit those of stock ops, and those unfused."""

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


def network_with_batch_norm() -> keras.Model:
    """Batch norm before a ReLU, before an addition, before a concatenation, and before nothing."""
    layers = keras.layers

    def convolved(x, name, channels=8, activation="relu", **arguments):
        x = layers.Conv2D(channels, 3, padding="same", name=name, **arguments)(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
        return layers.Activation(activation, name=f"{name}_act")(x) if activation else x

    image = keras.Input((16, 48, 3))
    x = skip = convolved(image, "plain")
    x = convolved(x, "strided", strides=2)
    x = convolved(x, "six", activation="relu6")
    x = layers.UpSampling2D(interpolation="bilinear", name="up")(x)
    x = layers.Add(name="add")([convolved(x, "residual", activation=None), skip])
    x = layers.ReLU(name="sum_relu")(x)
    pooled = layers.MaxPool2D(name="pool")(convolved(x, "pooled"))
    transposed = layers.Conv2DTranspose(8, 2, strides=2, name="transposed")(pooled)
    x = layers.Concatenate(name="join")([convolved(x, "joined"), transposed])
    return keras.Model(image, layers.Conv2D(5, 1, name="logits")(x))


def trained(
    network: keras.Model, name: str, traced: bool = True
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Returns the model's weights and the optimizer's after three steps."""
    keras.utils.set_random_seed(1)
    model = quantize(network, preset(name))
    optimizer = IntegerSGD(2.0**-7, momentum=0.9375, decay=2.0**-11)
    optimizer.build(model.trainable_variables)

    def step(images: tf.Tensor, labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)

    run = tf.function(step, autograph=False) if traced else step
    random = np.random.default_rng(0)
    size = model.input_shape[1:]
    for _ in range(3):
        images = tf.constant(random.integers(0, 256, (2, *size)), tf.float32)
        run(images, tf.constant(random.integers(0, 5, (2, *size[:2])), tf.int32))
    return [w.numpy() for w in model.weights], [v.numpy() for v in optimizer.variables]


def assert_same(results: list[tuple[list[np.ndarray], list[np.ndarray]]]) -> None:
    (weights, state), (other_weights, other_state) = results
    assert all(np.any(w != 0) and np.all(np.isfinite(w)) for w in weights if w.ndim == 4)
    for one, other in zip([*weights, *state], [*other_weights, *other_state], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["INTEGER", "PAPER_FCN"])
def test_three_steps(name: str) -> None:
    results = []
    for ops in (contextlib.nullcontext(), kernels.stock()):
        with ops:
            keras.utils.set_random_seed(1)
            results.append(trained(network(), name))
    assert_same(results)


def test_three_steps_in_which_nothing_is_fused() -> None:
    """Eagerly, no op knows what made its inputs (`tfquantseg.numerics.fused`)."""
    results = []
    for traced in (True, False):
        keras.utils.set_random_seed(1)
        results.append(trained(network_with_batch_norm(), "INTEGER", traced))
    assert_same(results)
