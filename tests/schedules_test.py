"""Schedules: exact values at every step, and what Keras does with them."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfquantseg.schedules import Halvings


def test_the_rate_is_halved_from_each_boundary_on() -> None:
    schedule = Halvings(0.3, (2, 3, 6))
    rates = [schedule(step) for step in range(8)]
    assert all(rate.dtype == tf.float32 and rate.shape == () for rate in rates)
    # A half of a float32 is exact.
    expected = np.float32(0.3) / np.array([1, 1, 2, 4, 4, 4, 8, 8], np.float32)
    np.testing.assert_array_equal(np.array(rates), expected)


def test_without_boundaries_the_rate_is_constant() -> None:
    schedule = Halvings(0.0625)
    assert [float(schedule(step)) for step in (0, 10**6)] == [0.0625, 0.0625]
    assert schedule.values() == (0.0625,)


def test_numbers_of_numpy_become_python_s() -> None:
    schedule = Halvings(np.float32(0.5), np.array([3, 9]))  # type: ignore[arg-type]
    assert schedule == Halvings(0.5, (3, 9))
    kept = (schedule.peak, *schedule.boundaries)
    assert [type(value) for value in kept] == [float, int, int]  # as JSON needs them


def test_values_are_all_it_takes() -> None:
    schedule = Halvings(0.0625, (10, 20))
    assert schedule.values() == (0.0625, 0.03125, 0.015625)
    assert {float(schedule(step)) for step in range(30)} == set(schedule.values())


def test_the_rate_doubles_from_each_step_of_the_warmup_on() -> None:
    schedule = Halvings(0.3, (6,), warmup=(1, 4))
    rates = np.array([schedule(step) for step in range(8)])
    # A half of a float32 is exact.
    expected = np.float32(0.3) / np.array([4, 2, 2, 2, 1, 1, 2, 2], np.float32)
    np.testing.assert_array_equal(rates, expected)
    assert schedule.values() == (0.075, 0.15, 0.3, 0.15)


@pytest.mark.parametrize("jit", [False, True])
def test_steps_may_be_tensors_and_variables(jit: bool) -> None:
    schedule = Halvings(1.0, (5,))
    step = tf.function(schedule, jit_compile=jit)
    assert float(step(tf.constant(4, tf.int64))) == 1.0
    assert float(step(tf.constant(5, tf.int32))) == 0.5
    assert float(schedule(keras.Variable(5, dtype="int64"))) == 0.5


def test_an_optimizer_follows_it() -> None:
    weight = keras.Variable(np.zeros(1, np.float32))
    optimizer = keras.optimizers.SGD(Halvings(1.0, (1, 2)))
    moves = []
    for _ in range(3):
        before = float(weight[0])
        optimizer.apply([np.ones(1, np.float32)], [weight])
        moves.append(before - float(weight[0]))
    assert moves == [1.0, 0.5, 0.25]


def test_keras_saves_and_loads_it() -> None:
    schedule = Halvings(0.5, (3, 9), (1, 2))
    saved = keras.saving.serialize_keras_object(schedule)
    assert keras.saving.deserialize_keras_object(saved) == schedule


def test_equal_fields_make_equal_schedules() -> None:
    assert Halvings(0.5, (3, 9)) == Halvings(0.5, [3, 9])  # type: ignore[arg-type]
    assert Halvings(0.5, (3, 9)) != Halvings(0.5, (3,))


@pytest.mark.parametrize("peak", [0.0, -1.0, float("nan"), float("inf"), "0.1", True])
def test_a_rate_that_is_not_positive_is_refused(peak: float) -> None:
    with pytest.raises(ValueError, match=r"peak=.*positive"):
        Halvings(peak)


@pytest.mark.parametrize(
    "steps", [(0,), (-3, 4), (5, 5), (7, 2), (1.5,), ("3",), (True, 2), 3, None, "30", {3, 4}]
)
def test_steps_that_do_not_ascend_are_refused(steps: Any) -> None:
    with pytest.raises(ValueError, match=r"boundaries=.*integer steps .*ascending"):
        Halvings(0.1, steps)
    with pytest.raises(ValueError, match=r"warmup=.*integer steps .*ascending"):
        Halvings(0.1, (), steps)


@pytest.mark.parametrize("boundary", [4, 5])
def test_a_warmup_that_runs_into_the_halvings_is_refused(boundary: int) -> None:
    with pytest.raises(ValueError, match=r"warmup=\(3, 5\) does not end before boundaries="):
        Halvings(0.1, (boundary,), (3, 5))
