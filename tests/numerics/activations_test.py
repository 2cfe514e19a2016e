"""Activations against NumPy, forward and backward."""

import numpy as np
import pytest
import tensorflow as tf

from tfquantseg.numerics import relu

X = np.array([-np.inf, -2, -0.0, 0, 1e-30, 3, 6, 6.5, np.inf], np.float32)


@pytest.mark.parametrize(("activation", "most"), [("relu", np.inf), ("relu6", 6)])
def test_value_and_gradient(activation, most):
    with tf.GradientTape() as tape:
        x = tf.constant(X)
        tape.watch(x)
        y = relu(x, activation)
    np.testing.assert_array_equal(y, np.clip(X, 0, most))
    error = np.arange(1, X.size + 1, dtype=np.float32)
    inside = (X > 0) & (most > X)
    if most == np.inf:
        inside[-1] = True  # an infinite value passes a plain ReLU
    np.testing.assert_array_equal(
        tape.gradient(y, x, output_gradients=error), np.where(inside, error, 0)
    )


@pytest.mark.parametrize("activation", ["relu", "relu6"])
def test_nan_stays(activation):
    assert np.isnan(relu(tf.constant([np.nan]), activation)).all()


def test_a_graph_keeps_one_byte_a_value():
    @tf.function(autograph=False)
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = relu(x, "relu")
        return tape.gradient(y, x)

    types = {op.type for op in step.get_concrete_function(tf.constant(X)).graph.get_operations()}
    assert "Greater" in types and "ReluGrad" not in types
