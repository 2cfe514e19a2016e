"""`max_pool` is TensorFlow's, with another memory."""

import numpy as np
import pytest
import tensorflow as tf

from tests.kernels.values import needs_own_ops
from tests.numerics.modes import MODES
from tfquantseg.numerics import max_pool


def integers(seed: int) -> tf.Tensor:
    # Few values, so that most windows have several largest ones.
    return tf.constant(np.random.default_rng(seed).integers(-128, -124, (2, 7, 9, 3)), tf.float32)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("size", "strides", "padding"), [((2, 2), (2, 2), "VALID"), ((3, 2), (2, 1), "SAME")]
)
def test_equals_tensorflow(mode, size, strides, padding):
    x = integers(0)

    def both_ways(pool):
        def run(x, error):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = pool(x)
            return y, tape.gradient(y, x, error)

        return run

    stock = MODES[mode](both_ways(lambda x: tf.nn.max_pool2d(x, size, strides, padding)))
    error = tf.random.stateless_normal(tf.nn.max_pool2d(x, size, strides, padding).shape, [1, 2])
    ours = MODES[mode](both_ways(lambda x: max_pool(x, size, strides, padding)))(x, error)
    (y, to_x), (expected, expected_to_x) = ours, stock(x, error)
    np.testing.assert_array_equal(y, expected)
    # Up to four windows overlap, and oneDNN adds their errors in another order: three roundings
    # each of numbers that together are below 16.
    np.testing.assert_allclose(to_x, expected_to_x, rtol=0, atol=6 * 2.0**-21)


@needs_own_ops
def test_keeps_a_byte_a_window():
    x = integers(1)

    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = max_pool(x, (2, 2), (2, 2), "VALID")
        return tape.gradient(y, x)

    graph = tf.function(step).get_concrete_function(x).graph
    (gradient,) = (op for op in graph.get_operations() if op.type == "TfquantsegMaxPoolGradient")
    sizes, taps, _ = gradient.inputs
    assert taps.dtype == tf.uint8 and taps.shape == (2, 3, 4, 3)
    assert sizes.op.type in ("Shape", "Const")
