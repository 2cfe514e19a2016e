"""The equations of `tfquantseg.numerics.grids`, at any rank and magnitude, in all modes."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.numerics import reference
from tests.numerics.modes import MODES
from tfquantseg.numerics import (
    Quantized,
    Scaled,
    Uniform,
    delta,
    largest_magnitude,
    levels,
)

STEPS = ("max/128", "max/127")


def normal(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


# Eq 1.


@pytest.mark.parametrize(("bits", "step", "most"), [(2, 0.5, 1), (8, 1 / 128, 127)])
def test_delta_and_levels(bits, step, most):
    assert delta(bits) == step
    assert levels(bits) == most
    assert most * step == 1 - step


# Eq 2 and 14: exact, because all factors are powers of two.


@pytest.mark.parametrize("bits", [2, 3, 8, 16, 24])
@pytest.mark.parametrize("limit", [1.0, 2.0, 0.125, 2.0**-20, 64.0])
def test_uniform_is_eq_2_and_14(bits, limit):
    ends = [0.0, limit, -limit, 5 * limit, -1e30, limit * (1 - delta(bits) / 2)]
    x = np.concatenate([normal((2000,)) * np.float32(limit), np.array(ends, np.float32)])
    grid = Uniform(bits=bits, limit=limit)
    integers, step = grid.encode(tf.constant(x))
    np.testing.assert_array_equal(grid(tf.constant(x)), reference.uniform(x, bits, limit))
    assert float(step) == limit * delta(bits)
    np.testing.assert_array_equal(integers * step, grid(tf.constant(x)))


def test_uniform_of_every_tie_at_8_bits():
    x = (np.arange(-130, 130) + 0.5).astype(np.float32) / 128
    np.testing.assert_array_equal(Uniform(8)(x), reference.uniform(x, 8))
    away = np.clip(reference.half_away(x * 128), -127, 127)
    np.testing.assert_array_equal(Uniform(8, rounding="half_away").encode(x).integers, away)


@pytest.mark.parametrize(
    ("shape", "axis", "broadcast"),
    [
        ((3, 3, 5, 4), -1, (1, 1, 1, 4)),
        ((3, 3, 4, 5), 2, (1, 1, 4, 1)),
        ((3, 3, 4, 5), -2, (1, 1, 4, 1)),
        ((3, 3, 2, 2), (2, 3), (1, 1, 2, 2)),
        ((3, 3, 2, 2), (-2, -1), (1, 1, 2, 2)),
        ((4,), 0, (4,)),
    ],
)
def test_a_vector_of_limits_lies_along_its_axes(shape, axis, broadcast):
    limits = (0.25, 1.0, 2.0, 8.0)
    x = 4 * normal(shape)
    grid = Uniform(8, limit=limits, axis=axis)
    expected = reference.uniform(x, 8, np.reshape(limits, broadcast))
    np.testing.assert_array_equal(grid(tf.constant(x)), expected)
    assert grid.encode(x).step.shape == broadcast


# Eq 3, 4, 15 and 16.


def test_scale_is_the_largest_magnitude():
    assert float(largest_magnitude(tf.constant([[0.5, -3.0], [2.0, 1.0]]))) == 3.0
    assert float(largest_magnitude(tf.constant(-2.0))) == 2.0
    assert float(largest_magnitude(tf.zeros([0, 3]))) == 0.0


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("rounding", ["half_up", "half_away"])
@pytest.mark.parametrize("bits", [2, 8, 16, 24])
def test_scaled_encodes_exactly(bits, step, rounding):
    x = normal((3000,), seed=bits)
    integers, unit = Scaled(bits, step=step, rounding=rounding).encode(tf.constant(x))
    rule = reference.half_up if rounding == "half_up" else reference.half_away
    expected, expected_unit = reference.scale_encoded(x, bits, step, rule)
    np.testing.assert_array_equal(integers, expected)
    assert unit.numpy() == expected_unit
    np.testing.assert_array_equal(
        Scaled(bits, step=step, rounding=rounding)(x), expected.astype(np.float32) * expected_unit
    )


@pytest.mark.parametrize("bits", [2, 8, 12])
def test_scaled_is_eq_4(bits):
    x = normal((3000,), seed=1)
    # The step and the product are each rounded once to float32. No value of this seed is so near
    # a tie that the quotient's rounding to float32 would move it.
    np.testing.assert_allclose(Scaled(bits)(x), reference.scale_quantized(x, bits), rtol=2**-23)


def test_eq_4_clips_its_maximum_and_max_127_does_not():
    x = tf.constant([4.0, 1.0])
    assert Scaled(8)(x).numpy().tolist() == [4 * 127 / 128, 1.0]
    assert Scaled(8, step="max/127").encode(x).integers.numpy().tolist() == [127.0, 32.0]
    assert float(Scaled(8, step="max/127").encode(127 * x).step) == 4.0


def test_eq_4_is_not_idempotent():
    x = tf.constant([1.0])
    grid = Scaled(8)
    # Each pass takes 1/128 off the maximum; 127**3 < 2**24 makes float32 exact.
    assert float(grid(grid(grid(x)))[0]) == (127 / 128) ** 3
    once = grid(tf.constant(normal((100_000,))))
    changed = np.mean(grid(once).numpy() != once.numpy())
    zeros = np.mean(once.numpy() == 0)
    assert changed == 1 - zeros  # all but the zeros
    assert changed > 0.97


@pytest.mark.parametrize("bits", [2, 8, 16])
def test_max_127_keeps_its_integers(bits):
    grid = Scaled(bits, step="max/127")
    integers, step = grid.encode(tf.constant(normal((100_000,))))
    again, step_again = grid.encode(integers * step)
    np.testing.assert_array_equal(again, integers)
    # n * step and the quotient by n are rounded to float32: the step may move by its last bit.
    np.testing.assert_allclose(step_again, step, rtol=2**-22)


@pytest.mark.parametrize("scale", [2.0, tf.constant(2.0)])
def test_a_given_scale_clips_what_lies_beyond(scale):
    integers, step = Scaled(8).encode(tf.constant([1.0, -1.5, 7.0, -7.0]), scale=scale)
    assert integers.numpy().tolist() == [64, -96, 127, -127]
    assert float(step) == 2 / 128


# Any rank, and the ends of float32.


@pytest.mark.parametrize("shape", [(), (7,), (2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 1, 2, 2)])
@pytest.mark.parametrize("grid", [Uniform(8), Scaled(8), Scaled(8, step="max/127")], ids=repr)
def test_any_rank(grid, shape):
    x = normal(shape)
    integers, step = grid.encode(tf.constant(x))
    assert integers.shape == shape
    assert step.shape == ()
    flat = grid.encode(tf.constant(x.reshape(-1)))
    np.testing.assert_array_equal(tf.reshape(integers, [-1]), flat.integers)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("step", STEPS)
def test_zeros_and_empty_tensors(mode, step):
    encode = MODES[mode](Scaled(8, step=step).encode)
    integers, unit = encode(tf.zeros([2, 3]))
    assert not np.any(integers)
    assert math.isfinite(unit) and unit > 0
    assert encode(tf.zeros([0, 3])).integers.shape == (0, 3)
    assert math.isfinite(encode(tf.zeros([0, 3])).step)
    assert Uniform(8)(tf.zeros([0, 3])).shape == (0, 3)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("scale", [1e-45, 1e-40, 1.2e-38, 1e-33, 1e-29])
def test_tiny_tensors_are_finite_and_below_their_scale(mode, step, scale):
    # Scales below 2**-100 count as zero.
    x = tf.constant(np.array([scale, -scale / 2, scale / 3, 0], np.float32))
    grid = Scaled(8, step=step)
    q = MODES[mode](grid)(x).numpy()
    np.testing.assert_array_equal(q, grid(x))
    if scale < 2.0**-100:
        assert not np.any(q)
    else:
        np.testing.assert_allclose(q, x, atol=scale / 100)
    np.testing.assert_array_equal(MODES[mode](Uniform(8))(x), [0, 0, 0, 0])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("step", STEPS)
def test_huge_tensors(mode, step):
    x = np.array([3e38, -1.5e38, 1e38, 1e30], np.float32)
    integers, unit = MODES[mode](Scaled(8, step=step).encode)(tf.constant(x))
    expected, expected_unit = reference.scale_encoded(x, 8, step)
    np.testing.assert_array_equal(integers, expected)
    assert unit.numpy() == expected_unit
    assert np.all(np.isfinite(integers * unit))
    clipped = MODES[mode](Uniform(8, limit=2.0**20))(tf.constant(x))
    np.testing.assert_array_equal(clipped, 2.0**20 * np.array([1, -1, 1, 1]) * 127 / 128)


@pytest.mark.parametrize(
    ("step", "largest"),
    # 127 times the rounded 127th part of the last floats overflows; 3.4e38 is below them.
    [("max/128", np.finfo(np.float32).max), ("max/127", 3.4e38)],
)
def test_the_largest_floats_stay_finite(step, largest):
    q = Scaled(8, step=step)(tf.constant([largest, -largest]))
    # One step at most is clipped; the step and the product are rounded to float32.
    np.testing.assert_allclose(q, [largest, -largest], rtol=1 / 128 + 2**-22)
    assert np.all(np.isfinite(q))


# The same bits in eager execution, in graphs and in XLA.

GRIDS = [
    grid
    for bits in (8, 16, 24)
    for grid in (
        Uniform(bits),
        Uniform(bits, limit=(0.5, 2.0, 1.0, 8.0), rounding="half_away"),
        *(Scaled(bits, step=step) for step in STEPS),
    )
]


@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize("grid", GRIDS, ids=repr)
def test_same_bits_in_every_mode(grid, mode):
    # Four scales, because it takes a few quotients to meet one that a reciprocal gets wrong.
    for scale in (1.0, 3.3e-6, 0.7, 1.9e5):
        x = tf.constant(normal((5000, 4)) * np.float32(scale))
        eager, compiled = grid.encode(x), MODES[mode](grid.encode)(x)
        np.testing.assert_array_equal(compiled.integers, eager.integers)
        np.testing.assert_array_equal(compiled.step, eager.step)
        np.testing.assert_array_equal(MODES[mode](grid)(x), grid(x))


@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize("bits", [8, 16, 24])
@pytest.mark.parametrize("step", STEPS)
def test_same_bits_in_every_mode_with_a_constant_scale(bits, step, mode):
    # A constant divisor is what graph compilers like to turn into a product.
    x = tf.constant(normal((20_000,)))

    def encode(x: tf.Tensor) -> Quantized:
        return Scaled(bits, step=step).encode(x, scale=tf.constant(2.7))

    eager, compiled = encode(x), MODES[mode](encode)(x)
    np.testing.assert_array_equal(compiled.integers, eager.integers)
    np.testing.assert_array_equal(compiled.step, eager.step)
