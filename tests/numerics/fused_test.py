"""What own ops compute at once is what they compute one after another, bit for bit."""

import numpy as np
import pytest
import tensorflow as tf

from tests.kernels.values import needs_own_ops
from tfquantseg import kernels
from tfquantseg.numerics import Scaled, encode_value, largest_magnitude, normalize_batch, relu
from tfquantseg.numerics.fused import ends

pytestmark = needs_own_ops


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

    return tf.function(step).get_concrete_function(x).graph


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

    @tf.function
    def both(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        y, *_ = normalize_batch(x, gamma, norm="l1", epsilon=1e-3, mu_grid=None, sigma_grid=None)
        ops = kernels.ops()
        few = ends(ops, y)
        assert few.shape == [2, 3]
        return ops.tfquantseg_magnitude(few).most, ops.tfquantseg_magnitude(y).most

    few, all_of_them = both(tf.constant(x))
    np.testing.assert_array_equal(few, all_of_them)
