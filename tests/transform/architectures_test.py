"""Real architectures: ResNet50 of keras.applications and DeepLabV3Plus of keras-cv."""

import time

import keras
import keras_cv
import numpy as np
import tensorflow as tf

from tests.transform.networks import FINE, inputs_of, with_statistics
from tfquantseg.layers import QuantConv2D
from tfquantseg.policy import FLOAT, INTEGER
from tfquantseg.transform import count_convolutions, plan, quantize


def deeplab() -> keras.Model:
    """DeepLabV3+ on a small ResNet, built without a preset."""
    backbone = keras_cv.models.ResNetBackbone(
        stackwise_filters=[8, 8, 8, 8],
        stackwise_blocks=[1, 1, 1, 1],
        stackwise_strides=[1, 2, 2, 2],
        include_rescaling=True,
        input_shape=(64, 64, 3),
    )
    return keras_cv.models.DeepLabV3Plus(num_classes=3, backbone=backbone)


def requantized(model: keras.Model) -> int:
    return sum(root.at is not None for edge in plan(model, INTEGER).edges for root in edge.roots)


def test_all_26_convolutions_of_deeplab_are_reached() -> None:
    model = with_statistics(deeplab())
    assert count_convolutions(model) == 26
    # The decoder's concatenation and ASPP's tie without a cycle.
    assert requantized(model) == 0
    tied = [edge for edge in plan(model, INTEGER).edges if len(edge.roots) > 1]
    assert sorted(len(edge.roots) for edge in tied) == [2, 5]

    x = 128 + 50 * inputs_of(model)
    wanted = model(x, training=False)
    # `training=False` is said because Resizing, called without, switches what follows it to
    # training.
    np.testing.assert_array_equal(quantize(model, FLOAT)(x, training=False), wanted)
    # 22 bits a tensor and float32's sums over some 20 layers; probabilities below 1.
    np.testing.assert_allclose(quantize(model, FINE)(x, training=False), wanted, atol=5e-5)


def test_a_training_step_of_deeplab_reaches_every_variable() -> None:
    quantized = quantize(deeplab(), INTEGER)
    layers = [layer for layer in quantized.layers if isinstance(layer, QuantConv2D)]
    assert len(layers) == 26
    with tf.GradientTape() as tape:
        scores = quantized(128 + 50 * inputs_of(quantized), training=True)
        loss = tf.reduce_mean(tf.square(scores[..., 0] - 1))
    gradients = tape.gradient(loss, quantized.trainable_variables)
    for variable, gradient in zip(quantized.trainable_variables, gradients, strict=True):
        assert gradient is not None and np.isfinite(gradient).all(), variable.path


def test_resnet50_is_quantized_in_seconds() -> None:
    model = keras.applications.ResNet50(
        weights=None, include_top=False, input_shape=(64, 64, 3), name="resnet50"
    )
    assert requantized(model) == 0
    start = time.monotonic()
    quantized = quantize(model, INTEGER)
    # Ten seconds on two quiet cores, of which most is Keras tracing each layer.
    assert time.monotonic() - start < 60
    assert sum(isinstance(layer, QuantConv2D) for layer in quantized.layers) == 53
    assert np.isfinite(quantized(inputs_of(model, batch=1), training=False)).all()
