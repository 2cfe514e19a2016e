"""Grids as frozen values, and the input that they refuse."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from tfquantseg.numerics import Scaled, Uniform


def test_grids_are_values():
    assert Uniform(8, limit=2) == Uniform(bits=8, limit=2.0)
    assert Uniform(8, limit=[1, 2]) == Uniform(8, limit=np.array([1.0, 2.0], np.float32))
    assert Uniform(8, limit=(1, 2), axis=[2, 3]) == Uniform(8, limit=(1, 2), axis=(2, 3))
    assert Scaled(8) == Scaled(bits=8, step="max/128")
    grids = [
        Uniform(8), Uniform(9), Uniform(8, limit=2.0), Uniform(8, rounding="half_away"),
        Uniform(8, limit=(1.0, 2.0)), Uniform(8, limit=(1.0, 2.0), axis=0), Scaled(8),
        Scaled(8, step="max/127"), Scaled(8, stochastic=True), Scaled(8, rescale=False),
        Scaled(8, rounding="half_away"),
    ]  # fmt: skip
    assert len(set(grids)) == len(grids)
    assert hash(Uniform(8, limit=[1, 2])) == hash(Uniform(8, limit=(1.0, 2.0)))
    for grid in grids:
        assert dataclasses.replace(grid) == grid
        with pytest.raises(dataclasses.FrozenInstanceError):
            grid.bits = 4


# Bad input.


@pytest.mark.parametrize("bits", [1, 0, -8, 25, 8.0, "8", True, None])
def test_bits_are_checked(bits):
    for grid in (Uniform, Scaled):
        with pytest.raises(ValueError, match=f"from 2 to 24, received {bits!r}"):
            grid(bits)


def test_stochastic_grids_have_at_most_22_bits():
    assert Scaled(22, stochastic=True).bits == 22
    with pytest.raises(ValueError, match="from 2 to 22, received 23"):
        Scaled(23, stochastic=True)


@pytest.mark.parametrize(
    "limit", [0.0, -1.0, 3.0, 0.3, math.inf, math.nan, (1.0, 3.0), (), ((1.0,),), None, "a"]
)
def test_limits_are_powers_of_two(limit):
    with pytest.raises(ValueError, match=r"limit|could not convert"):
        Uniform(8, limit=limit)


@pytest.mark.parametrize("limit", [2.0**128, 2.0**-126, 2.0**-140])
def test_limits_whose_step_float32_cannot_hold_are_refused(limit):
    with pytest.raises(ValueError, match="limit"):
        Uniform(8, limit=limit)


@pytest.mark.parametrize(
    ("axis", "shape"),
    [(-1, (3,)), (1, (2, 3)), ((1, 2), (4, 2, 2)), (-1, ()), (2, (2, 2)), (-3, (2, 2))],
)
def test_a_vector_of_limits_that_does_not_fit(axis, shape):
    with pytest.raises(ValueError, match=r"2 limits along axis"):
        Uniform(8, limit=(1.0, 2.0), axis=axis)(tf.zeros(shape))


def test_a_vector_of_limits_along_an_unknown_axis():
    grid = tf.function(Uniform(8, limit=(1.0, 2.0)), autograph=False)
    with pytest.raises(ValueError, match=r"2 limits along axis"):
        grid.get_concrete_function(tf.TensorSpec([4, None]))


@pytest.mark.parametrize(
    ("grid", "name", "value"),
    [
        (Scaled, "step", "max/126"),
        (Scaled, "rounding", "half_odd"),
        (Uniform, "rounding", "up"),
        (Scaled, "step", None),
    ],
)
def test_unknown_choices_are_refused(grid, name, value):
    with pytest.raises(ValueError, match=f"{name} must be one of .*received {value!r}"):
        grid(8, **{name: value})


def test_a_seed_is_needed_exactly_when_stochastic():
    with pytest.raises(ValueError, match=r"needs seed=\(a, b\), received None"):
        Scaled(8, stochastic=True)(tf.zeros([2]))
    with pytest.raises(ValueError, match=r"takes no seed, received \(1, 2\)"):
        Scaled(8)(tf.zeros([2]), seed=(1, 2))


@pytest.mark.parametrize("seed", [(1,), 3, (1.0, 2), (1, 2, 3)])
def test_a_seed_is_two_integers(seed):
    with pytest.raises(ValueError, match="seed must be two integers"):
        Scaled(8, stochastic=True)(tf.zeros([2]), seed=seed)


def test_a_scale_is_a_scalar():
    with pytest.raises(ValueError, match=r"scale must be a scalar, received one of shape \(2,\)"):
        Scaled(8).encode(tf.zeros([2]), scale=tf.ones([2]))


@pytest.mark.parametrize("scale", [-1.0, float("nan"), np.float32(np.inf)])
def test_a_scale_that_no_tensor_has(scale):
    with pytest.raises(ValueError, match="scale must be finite and not negative, received"):
        Scaled(8).encode(tf.zeros([2]), scale=scale)


@pytest.mark.parametrize("grid", [Uniform, Scaled])
def test_numpys_integers_are_integers(grid):
    assert grid(np.int64(8)) == grid(8)
    assert isinstance(grid(np.int64(8)).bits, int)
