"""What own ops compute at once is what they compute one after another, bit for bit."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.kernels.values import needs_own_ops
from tfquantseg import kernels
from tfquantseg.numerics import Scaled, encode_value, largest_magnitude, normalize_batch, relu
from tfquantseg.numerics.fused import ends
from tfquantseg.optimizer import IntegerSGD
from tfquantseg.policy import preset
from tfquantseg.transform import quantize

pytestmark = needs_own_ops


def network() -> keras.Model:
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


def trained(traced: bool) -> list[tuple[str, np.ndarray]]:
    """Returns every variable after three steps; nothing is fused where they run eagerly."""
    keras.utils.set_random_seed(1)
    model = quantize(network(), preset("INTEGER"))
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
    for _ in range(3):
        images = tf.constant(random.integers(0, 256, (2, 16, 48, 3)), tf.float32)
        run(images, tf.constant(random.integers(0, 5, (2, 16, 48)), tf.int32))
    return [(v.path, v.numpy()) for v in [*model.weights, *optimizer.variables]]


def test_three_steps() -> None:
    for (name, fused), (_, plain) in zip(trained(True), trained(False), strict=True):
        np.testing.assert_array_equal(fused, plain, err_msg=name)


def graph_of_a_row(x: tf.Tensor) -> tf.Graph:
    """The graph of a step through batch norm, ReLU, a grid and a sum."""
    grid = Scaled(8, step="max/127", rounding="half_away")

    def step(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y, *_ = normalize_batch(x, norm="l1", epsilon=1e-3, mu_grid=None, sigma_grid=None)
            y = relu(y, "relu")
            scale = largest_magnitude(y)
            pair = encode_value(y, lambda y: grid.encode(y, scale=scale), error=grid)
        return scale, tape.gradient(pair.integers, x, tf.cos(x))

    return tf.function(step, autograph=False).get_concrete_function(x).graph


def test_the_scale_is_that_of_the_ends() -> None:
    graph = graph_of_a_row(tf.zeros([2, 8, 8, 4]))
    shapes = [
        op.inputs[0].shape for op in graph.get_operations() if op.type == "TfquantsegMagnitude"
    ]
    assert [2, 4] in shapes and [2, 8, 8, 4] not in shapes


def test_the_error_comes_back_as_bytes() -> None:
    graph = graph_of_a_row(tf.zeros([2, 8, 8, 4]))
    (gradient,) = (op for op in graph.get_operations() if op.type == "TfquantsegNormalizeGradient")
    assert gradient.inputs[7].dtype == tf.int8
    assert gradient.get_attr("relu")


@pytest.mark.parametrize("value", [1.0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_ends_have_the_largest_magnitude(sign: float, value: float) -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype(np.float32)
    x[1, 2, 3, 1] = value
    gamma = tf.constant([sign, 0.5, -2.0])

    @tf.function(autograph=False)
    def both(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        y, *_ = normalize_batch(x, gamma, norm="l1", epsilon=1e-3, mu_grid=None, sigma_grid=None)
        ops = kernels.ops()
        few = ends(ops, y)
        assert few.shape == [2, 3]
        return ops.tfquantseg_magnitude(few).most, ops.tfquantseg_magnitude(y).most

    few, all_of_them = both(tf.constant(x))
    np.testing.assert_array_equal(few, all_of_them)
