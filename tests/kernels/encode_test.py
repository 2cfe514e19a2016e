"""Scales and integers by own ops, bit for bit as TensorFlow's ops compute them."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.kernels.values import KINDS, SHAPES, assert_same_bits, needs_own_ops, of_kind
from tfquantseg import kernels
from tfquantseg.numerics import Quantized, Scaled, Uniform, is_finite, largest_magnitude

SCALED = {
    "INTEGER": Scaled(8, step="max/127", rounding="half_away"),
    "PAPER": Scaled(8),
    "half_even": Scaled(8, rounding="half_even"),
    "24 bits": Scaled(24, step="max/127", rounding="half_away"),
    "power of two": Scaled(8, scale="power_of_two", clip="1"),
    "unit": Scaled(8, scale="one", clip="none"),
    "drawn": Scaled(8, stochastic=True, gain=0.1),
}

pytestmark = needs_own_ops


def assert_same(own: Quantized, stock: Quantized) -> None:
    assert_same_bits(own.integers, stock.integers)
    assert_same_bits(own.step, stock.step)


@pytest.mark.parametrize("kind", KINDS)
def test_scale_and_finiteness(kind: str) -> None:
    for shape in SHAPES:
        x = tf.constant(of_kind(kind, shape))
        own = largest_magnitude(x), is_finite(x)
        with kernels.stock():
            np.testing.assert_array_equal(own[0], largest_magnitude(x))  # -0 is 0.
            assert bool(own[1]) == bool(is_finite(x))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grid", SCALED)
def test_scaled(grid: str, kind: str) -> None:
    for shape, scale in itertools.product(SHAPES, (None, 0.0, 0.7)):
        x = tf.constant(of_kind(kind, shape))
        seed = (3, -5) if SCALED[grid].stochastic else None
        own = SCALED[grid].encode(x, seed, scale)
        with kernels.stock():
            assert_same(own, SCALED[grid].encode(x, seed, scale))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rounding", ["half_up", "half_away", "half_even"])
def test_uniform(rounding, kind: str) -> None:
    for shape, bits, axis in itertools.product(SHAPES, (8, 24), (None, 1, 2, 3, (2, 3), (1, 2, 3))):
        axes = (axis,) if isinstance(axis, int) else axis or ()
        count = int(np.prod([shape[axis] for axis in axes]))
        limits = tuple(2.0 ** np.random.default_rng(count).integers(-9, 9, count))
        grid = Uniform(bits, limits if axes else 0.5, rounding, axis or -1)
        x = tf.constant(of_kind(kind, shape) * (1 if kind != "ties" else 2.0 ** (1 - bits)))
        own = grid.encode(x)
        with kernels.stock():
            assert_same(own, grid.encode(x))


def test_no_draw_is_another_one_in_a_long_tensor() -> None:
    """Beyond one block, and beyond what one thread is given."""
    x = tf.constant(of_kind("normal", (300_001,)))
    own = SCALED["drawn"].encode(x, seed=(2**40 + 1, 7))
    with kernels.stock():
        assert_same(own, SCALED["drawn"].encode(x, seed=(2**40 + 1, 7)))


def test_the_input_stays_as_it_is_where_it_is_read_again() -> None:
    """An op may write where it read, but only if nobody else holds its input."""

    @tf.function(autograph=False)
    def run(x: tf.Tensor):
        doubled = x * 2
        return SCALED["INTEGER"].encode(doubled).integers, doubled

    x = of_kind("normal", (64, 33))
    np.testing.assert_array_equal(run(tf.constant(x))[1], x * 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("normalizes", [False, True])
def test_bytes_are_the_integers_encoded_first(kind: str, normalizes: bool) -> None:
    ops, grid = kernels.ops(), SCALED["INTEGER"]
    for shape in SHAPES:
        x = tf.constant(of_kind(kind, shape))
        vectors = [tf.zeros([0])] * 4
        y = x
        if normalizes:
            random = np.random.default_rng(shape)
            vectors = [tf.constant(random.uniform(0.5, 2, shape[-1]), tf.float32) for _ in range(4)]
            y = tf.nn.relu(ops.tfquantseg_normalize(x, *vectors))
        scale = largest_magnitude(y)
        integers, one = ops.tfquantseg_encode_bytes(
            x, *vectors, scale, relu=normalizes, **grid.attributes()
        )
        first = grid.encode(y, scale=scale).integers
        expected, expected_one = ops.tfquantseg_to_int8(first)
        np.testing.assert_array_equal(one, expected_one)
        finite = np.isfinite(first)
        np.testing.assert_array_equal(integers.numpy()[finite], expected.numpy()[finite])
