"""What `Scaled` does beyond the paper's equations, as the code of its authors does."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.numerics.modes import MODES
from tfquantseg.numerics import Scaled, Uniform


def normal(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("magnitude", [2.0**-90, 1e-6, 0.7, 1.0, 1.4142, 1.4143, 5.65, 5.66, 1e6])
def test_a_power_of_two_is_the_nearest_in_logarithm(mode: str, magnitude: float) -> None:
    x = np.array([magnitude, -magnitude / 3, magnitude / 1000], np.float32)
    grid = Scaled(8, scale="power_of_two")
    integers, step = MODES[mode](grid.encode)(tf.constant(x))
    expected = 2.0 ** round(math.log2(magnitude)) / 128
    assert float(step) == expected
    np.testing.assert_array_equal(
        integers, np.clip(np.floor(x.astype(np.float64) / expected + 0.5), -127, 127)
    )


def test_a_scale_given_becomes_a_power_of_two_too() -> None:
    x = tf.constant([3.0, 1.0])
    assert float(Scaled(8, scale="power_of_two").encode(x, scale=tf.constant(5.0)).step) == 4 / 128


def test_scale_one_is_no_scale() -> None:
    x = np.array([0.3, -2.0, 1.0 / 256], np.float32)
    integers, step = Scaled(8, scale="one", clip="none", rounding="half_even").encode(x)
    assert float(step) == 1 / 128
    np.testing.assert_array_equal(integers, [38, -256, 0])  # 0.5 steps: to the even neighbour


@pytest.mark.parametrize(("clip", "integers"), [("1-D", [127, -127]), ("1", [128, -128])])
def test_where_a_grid_ends(clip: str, integers: list[int]) -> None:
    x = tf.constant([2.0, -2.0])
    np.testing.assert_array_equal(Scaled(8, clip=clip).encode(x).integers, integers)


def test_nothing_is_clipped_where_nothing_shall_be() -> None:
    x = tf.constant([2.0, -1.5])
    grid = Scaled(8, scale="power_of_two", clip="none", stochastic=True)
    # Both are whole numbers of steps of a scale of 1: stochastic rounding leaves them.
    integers, _ = grid.encode(x, seed=(1, 2), scale=tf.constant(1.2))
    np.testing.assert_array_equal(integers, [256, -192])


@pytest.mark.parametrize("rescale", [True, False])
def test_a_gain_is_a_factor_on_the_gradient(rescale: bool) -> None:
    x = normal((100,), 3)
    plain = Scaled(8, stochastic=True, rescale=rescale)
    gained = Scaled(8, stochastic=True, rescale=rescale, gain=2.0**-7)
    np.testing.assert_array_equal(
        gained(x, seed=(3, 4)), plain(x, seed=(3, 4)) * np.float32(2.0**-7)
    )


@pytest.mark.parametrize("grid", [Uniform, Scaled])
def test_ties_go_to_the_even_neighbour(grid: type) -> None:
    steps = np.array([128, 0.5, 1.5, 2.5, -0.5, -1.5], np.float32)  # the first sets the scale
    integers = grid(8, rounding="half_even").encode(steps / 128).integers
    np.testing.assert_array_equal(integers, [127, 0, 2, 2, 0, -2])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("scale", "maximum", "scale must be one of max, power_of_two, one, received 'maximum'"),
        ("clip", 1, "clip must be one of 1-D, 1, none, received 1"),
        ("gain", 0.0, "gain must be a positive number, received 0.0"),
        ("gain", math.nan, "gain must be a positive number, received nan"),
        ("gain", "0.1", "gain must be a positive number, received '0.1'"),
    ],
)
def test_unknown_values_are_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Scaled(8, **{field: value})  # type: ignore[arg-type]
