"""`update_weight` against its formula in NumPy, and what stops it."""

import numpy as np
import pytest
import tensorflow as tf

from tests.numerics import reference
from tests.numerics.modes import MODES
from tfquantseg.numerics import Scaled, Uniform, encode_gradient, poisoned, update_weight

U, V = Uniform(24, rounding="half_away"), Uniform(24, 2.0**-4, rounding="half_away")
RATE, MOMENTUM, DECAY = 2.0**-6, 0.9375, 2.0**-11


def normal(seed: int, scale: float) -> np.ndarray:
    x = scale * np.random.default_rng(seed).standard_normal((3, 3, 8, 16))
    return U(tf.constant(x, tf.float32)).numpy()


def step(
    gradient: np.ndarray,
    weight: np.ndarray,
    velocity: np.ndarray | None,
    mode: str,
    applies: bool = True,
) -> list:
    W = tf.Variable(weight)
    V_ = None if velocity is None else tf.Variable(velocity)

    def run(gradient: tf.Tensor):
        pair = encode_gradient(gradient, tf.convert_to_tensor(W), decay=DECAY, G=None, seed=(0, 0))
        return update_weight(
            W,
            V_,
            pair,
            applies=tf.constant(applies),
            rate=tf.constant(RATE),
            momentum=MOMENTUM,
            U=U,
            V=V,
        )

    counts = MODES[mode](run)(tf.constant(gradient))
    return [W, *([] if V_ is None else [V_]), *counts]


def on(step: float, x: np.ndarray) -> np.ndarray:
    return reference.half_away(x / step) * step


@pytest.mark.parametrize("mode", MODES)
def test_a_step_is_its_formula(mode: str) -> None:
    gradient, weight, velocity = normal(0, 0.1), normal(1, 0.5), normal(2, 0.01)
    new_weight, new_velocity, lost, at_limit = step(gradient, weight, velocity, mode)
    moved = MOMENTUM * velocity.astype(np.float64) + RATE * (gradient + DECAY * weight)
    # float32's rounding of the sums moves a velocity by one step of its grid at most.
    np.testing.assert_allclose(new_velocity, on(2.0**-27, moved), rtol=0, atol=2.0**-27)
    update = on(2.0**-23, new_velocity.numpy().astype(np.float64))
    most = 1 - 2.0**-23
    np.testing.assert_array_equal(new_weight, np.clip(weight - update, -most, most))
    assert lost == np.sum((new_velocity.numpy() != 0) & (update == 0))
    assert at_limit == np.sum(np.abs(new_weight) >= most) > 0


def test_without_momentum_there_is_no_velocity() -> None:
    gradient, weight = normal(0, 0.1), normal(1, 0.5)
    new_weight, *_ = step(gradient, weight, None, "eager")
    update = on(2.0**-23, RATE * (gradient + np.float32(DECAY) * weight))
    # The product by the rate is exact; the sum's rounding moves an update by one step at most.
    most = 1 - 2.0**-23
    expected = np.clip(weight - update, -most, most)
    np.testing.assert_allclose(new_weight, expected, rtol=0, atol=2.0**-23)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_moves_where_it_does_not_apply(mode: str) -> None:
    weight, velocity = normal(1, 0.5), normal(2, 0.01)
    new_weight, new_velocity, *_ = step(normal(0, 0.1), weight, velocity, mode, applies=False)
    np.testing.assert_array_equal(new_weight, weight)
    np.testing.assert_array_equal(new_velocity, velocity)


@pytest.mark.parametrize("mode", MODES)
def test_a_gradient_is_encoded_with_its_decay(mode: str) -> None:
    gradient, weight = normal(0, 0.1), normal(1, 0.5)
    grid = Scaled(8, step="max/127", rounding="half_away")

    def run(gradient: tf.Tensor):
        return encode_gradient(gradient, tf.constant(weight), decay=DECAY, G=grid, seed=(0, 0))

    integers, step = MODES[mode](run)(tf.constant(gradient))
    decayed = gradient + np.float32(DECAY) * weight
    assert step == np.float32(np.max(np.abs(decayed)) / np.float32(127))
    exact = decayed / np.max(np.abs(decayed)) * 127
    # A quotient within float32's rounding of a half may go to either side.
    np.testing.assert_allclose(integers, exact, rtol=0, atol=0.5 + 127 * 2.0**-22)
    assert np.max(np.abs(integers)) == 127


@pytest.mark.parametrize("mode", MODES)
def test_a_poisoned_gradient_is_nan(mode: str) -> None:
    weight = normal(1, 0.5)
    assert np.all(np.isnan(MODES[mode](poisoned)(tf.ones(weight.shape), tf.constant(False))))
    np.testing.assert_array_equal(poisoned(tf.constant(weight), tf.constant(True)), weight)
