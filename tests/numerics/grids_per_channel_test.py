"""Grids with one scale a channel, position or image, against the formula in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tests.numerics import reference
from tests.numerics.modes import MODES
from tfquantseg.numerics import Scaled, encode_error, encode_error_pair

CHANNELS = np.array([1.0, 1e-4, 300.0, 0.0], np.float32)


def errors(seed: int = 0) -> np.ndarray:
    """Channels of very different magnitudes, the last of zeros."""
    x = np.random.default_rng(seed).standard_normal([2, 6, 7, 4]).astype(np.float32)
    return x * CHANNELS


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("step", ["max/127", "max/128"])
def test_each_channel_is_encoded_as_if_alone(step, mode):
    x = errors()
    grid = Scaled(8, step=step, rounding="half_away", per="channel")
    integers, steps = (
        one.numpy() for one in MODES[mode](lambda x: tuple(grid.encode(x)))(tf.constant(x))
    )
    assert steps.shape == (4,)
    for channel in range(3):
        expected, expected_step = reference.scale_encoded(
            x[..., channel], 8, step, reference.half_away
        )
        np.testing.assert_array_equal(integers[..., channel], expected)
        assert steps[channel] == expected_step
    assert not integers[..., 3].any() and steps[3] > 0
    assert not grid.own


@pytest.mark.parametrize(("per", "axes"), [("position", (3,)), ("image", (1, 2, 3))])
def test_each_position_or_image_is_encoded_as_if_alone(per, axes):
    x = errors()
    x[1, 2, 3] = 0
    grid = Scaled(8, step="max/127", rounding="half_away", per=per)
    integers, steps = (one.numpy() for one in grid.encode(tf.constant(x)))
    assert steps.shape == ((2, 6, 7, 1) if per == "position" else (2, 1, 1, 1))
    for index in np.ndindex(steps.shape[:-1] if per == "position" else (2,)):
        if not x[index].any():
            assert not integers[index].any()
            continue
        expected, step = reference.scale_encoded(x[index], 8, "max/127", reference.half_away)
        np.testing.assert_array_equal(integers[index], expected)
        assert steps[index].item() == step


def test_what_has_a_scale_is_one_of_four():
    with pytest.raises(ValueError, match="per must be one of tensor, channel, position, image"):
        Scaled(8, per="row")


def test_a_flag_goes_with_it():
    x = errors()
    grid = Scaled(8, step="max/127", rounding="half_away", flag=True, per="channel")
    one = Scaled(8, step="max/127", rounding="half_away", flag=True)
    integers, steps = grid.encode(tf.constant(x))
    for channel in range(4):
        alone, step = one.encode(tf.constant(x[..., channel]))
        np.testing.assert_array_equal(integers[..., channel], alone)
        assert steps[channel] == step


def test_stochastic_draws_keep_the_mean_of_small_channels():
    x = np.zeros([50_000, 2], np.float32)
    x[:, 0], x[:, 1] = 0.3, 0.3e-3
    x[0] = 127, 127e-3
    grid = Scaled(8, step="max/127", stochastic=True, per="channel")
    integers, steps = encode_error(tf.constant(x), grid)
    np.testing.assert_array_equal(steps, np.float32([1, 127e-3 / 127]))
    # Five standard errors of the mean of 50,000 Bernoulli draws.
    means = integers.numpy()[1:].mean(0)
    assert np.all(np.abs(means - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 50_000))


def test_the_second_encoding_has_one_scale():
    x, factor = errors(), np.array([1, 3000, 0.001, 1], np.float32)
    grid = Scaled(8, step="max/127", rounding="half_away", per="channel")
    pair, scaled, sums = encode_error_pair(
        tf.constant(x), grid, "layer", factor=tf.constant(factor)
    )
    assert scaled is not None
    expected, step = reference.scale_encoded(x * factor, 8, "max/127", reference.half_away)
    np.testing.assert_array_equal(scaled.integers, expected)
    assert scaled.step.shape == () and scaled.step.numpy() == step
    np.testing.assert_array_equal(sums, pair.integers.numpy().sum((0, 1, 2)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_one_value_that_is_not_finite_poisons_every_channel(bad):
    x = errors()
    x[0, 0, 0, 1] = bad
    pair = encode_error(tf.constant(x), Scaled(8, per="channel"))
    assert np.isnan(pair.product()).all()
