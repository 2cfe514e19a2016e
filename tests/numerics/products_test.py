"""Which kernels multiply, and what need not be kept for the backward pass."""

import numpy as np
import pytest
import tensorflow as tf

from tfquantseg import kernels
from tfquantseg.numerics.products import (
    Geometry,
    OwnProducts,
    StockProducts,
    convolved_again,
    products,
)

PLAIN = Geometry("conv2d", (1, 1), "SAME", (1, 1))


@pytest.fixture
def ops():
    if kernels.ops() is None:
        pytest.skip(kernels.why_not())
    return kernels.ops()


@pytest.mark.parametrize("widest", [9, 16, None])
def test_wide_or_unknown_integers_go_to_stock_kernels(widest):
    assert isinstance(products(PLAIN, widest), StockProducts)


def test_depthwise_and_stock_scopes_go_to_stock_kernels():
    depthwise = Geometry("depthwise", (1, 1), "SAME", (1, 1))
    assert isinstance(products(depthwise, 8), StockProducts)
    with kernels.stock():
        assert isinstance(products(PLAIN, 8), StockProducts)


@pytest.mark.parametrize("widest", [2, 8])
def test_eight_bits_go_to_own_kernels(ops, widest):
    assert isinstance(products(PLAIN, widest), OwnProducts)


def test_a_convolution_is_made_again_after_what_it_shall_wait_for(ops):
    own = OwnProducts(PLAIN, ops)
    rng = np.random.default_rng(0)
    a = tf.constant(rng.integers(-128, 128, [2, 5, 6, 3]), tf.int8)
    w = tf.constant(rng.integers(-127, 128, [3, 3, 3, 4]), tf.int8)

    @tf.function(autograph=False)
    def step(a, w, after):
        y = own.output(a, w, tf.constant(0.5), tf.zeros([4]), "relu", None)
        return y, convolved_again(ops, tf.identity(y), after)

    y, again = step(a, w, tf.zeros([]))
    np.testing.assert_array_equal(y, again)
    graph = step.get_concrete_function(a, w, tf.zeros([])).graph
    made = [op for op in graph.get_operations() if op.type == "TfquantsegConv2D"]
    assert len(made) == 2 and [op.type for op in made[1].control_inputs] == ["Placeholder"]


def test_other_tensors_are_kept(ops):
    x = tf.constant([1.0])
    assert convolved_again(ops, x, x) is x

    @tf.function(autograph=False)
    def step(x):
        y = x * 2
        assert convolved_again(ops, y, x) is y
        return y

    step(x)
