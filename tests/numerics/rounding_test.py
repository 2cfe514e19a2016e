"""Rounding, at ties and just beside them, and what it is made of."""

import numpy as np
import pytest
import tensorflow as tf

from tests.numerics import reference
from tfquantseg.numerics import round_half_away, round_half_up
from tfquantseg.numerics.rounding import nearest_power_of_two, round_nearest


def nearest_floats(x: float) -> list[np.float32]:
    x = np.float32(x)
    return [np.nextafter(x, np.float32(-np.inf)), x, np.nextafter(x, np.float32(np.inf))]


@pytest.mark.parametrize(
    ("x", "up", "away"),
    [
        (0.5, 1, 1),
        (-0.5, 0, -1),
        (2.5, 3, 3),
        (-2.5, -2, -3),
        (0.49999997, 0, 0),  # the largest float below one half: x + 0.5 rounds to 1 in float32
        (-0.49999997, 0, 0),
        (-0.50000006, -1, -1),
        (2.0**22 + 0.5, 2.0**22 + 1, 2.0**22 + 1),
        (-(2.0**22) - 0.5, -(2.0**22), -(2.0**22) - 1),
        (2.0**23 - 1, 2.0**23 - 1, 2.0**23 - 1),
        (2.0**23 - 0.5, 2.0**23, 2.0**23),
        (1e-30, 0, 0),
        (-1e-30, 0, 0),
        (0.0, 0, 0),
    ],
)
def test_rounding_of_one_number(x, up, away):
    assert float(round_half_up(tf.constant(x))) == up
    assert float(round_half_away(tf.constant(x))) == away


def test_rounding_around_every_tie():
    ties = [n + 0.5 for n in range(-300, 300)] + [2.0**p + 0.5 for p in range(9, 23)]
    x = np.array([near for tie in ties for near in nearest_floats(tie)], np.float32)
    np.testing.assert_array_equal(round_half_up(tf.constant(x)), reference.half_up(x))
    np.testing.assert_array_equal(round_half_away(tf.constant(x)), reference.half_away(x))


def test_ties_go_where_the_name_says():
    x = tf.constant([0.5, 1.5, -0.5, -1.5])
    np.testing.assert_array_equal(round_nearest(x, "half_even"), [0, 2, 0, -2])
    np.testing.assert_array_equal(round_nearest(x, "half_up"), [1, 2, 0, -1])
    np.testing.assert_array_equal(round_nearest(x, "half_away"), [1, 2, -1, -2])


def test_the_nearest_power_of_two_changes_at_its_geometric_mean():
    """round(log2(x)) in float64; the square root of 2 and its neighbours lie on either side."""
    root = [float(near) * 2.0**p for near in nearest_floats(2.0**0.5) for p in (-90, -3, 0, 90)]
    x = np.array([1.0, 1.41, 1.42, 2.9, 3.0, 1e-20, 1e20, *root], np.float32)
    expected = 2.0 ** np.round(np.log2(x.astype(np.float64)))
    np.testing.assert_array_equal(nearest_power_of_two(tf.constant(x)), expected)
