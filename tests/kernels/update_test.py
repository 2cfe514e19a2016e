"""The update of a master weight by the own op, bit for bit as TensorFlow's ops compute it."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.kernels.values import KINDS, SHAPES, assert_same_bits, needs_own_ops, of_kind
from tfquantseg import kernels
from tfquantseg.numerics import Scaled, Uniform, Updated, poisoned, update_weight
from tfquantseg.policy import UpdateRule, preset

pytestmark = needs_own_ops


def both(gradient: np.ndarray, rule: UpdateRule, momentum: float, decay: float) -> list[Updated]:
    """Returns a step by the own op, and by stock ones."""
    random = np.random.default_rng(gradient.shape)
    limits = rule.U.limits_for(gradient.shape)
    weight = rule.U(random.normal(size=gradient.shape).astype(np.float32) * limits)
    velocity = rule.V(random.normal(size=gradient.shape).astype(np.float32) * limits / 64)

    def step() -> Updated:
        return update_weight(
            tf.constant(gradient),
            weight,
            velocity if momentum else None,
            rate=tf.constant(2.0**-6),
            momentum=momentum,
            decay=decay,
            G=rule.G,
            U=rule.U,
            V=rule.V,
            seed=(5, 2**33),
        )

    own = step()
    with kernels.stock():
        return [own, step()]


def assert_same(steps: list[Updated]) -> None:
    own, stock = steps
    assert_same_bits(own.weight, stock.weight)
    assert_same_bits(own.lost, stock.lost)
    assert_same_bits(own.at_limit, stock.at_limit)
    assert (own.velocity is None) == (stock.velocity is None)
    if own.velocity is not None:
        assert_same_bits(own.velocity, stock.velocity)


def rule(name: str, shape: tuple[int, ...], axes: tuple[int, ...]) -> UpdateRule:
    count = int(np.prod([shape[axis] for axis in axes]))
    limits = tuple(2.0 ** np.random.default_rng(count).integers(-4, 2, count).astype(float))
    made = preset(name).update_rule(limits if axes else 1.0, axes or -1, decays=True)
    assert made is not None
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", [(), (3,), (2,), (2, 3)])
def test_integer(axes: tuple[int, ...], kind: str) -> None:
    for shape, momentum, decay in itertools.product(SHAPES[1:], (0.0, 0.9375), (0.0, 2.0**-11)):
        assert_same(both(of_kind(kind, shape), rule("INTEGER", shape, axes), momentum, decay))


@pytest.mark.parametrize("name", ["PAPER_FCN", "PAPER_DEEPLAB", "AUTHORS_FCN"])
def test_presets(name: str) -> None:
    """Eq 18 drops the scale; the authors' code does not clip, and rounds to the even neighbour."""
    for shape, kind in itertools.product(SHAPES[1:], ("normal", "tiny", "nan")):
        assert_same(both(of_kind(kind, shape), rule(name, shape, ()), 0.9, 2.0**-11))


def test_a_gradient_that_was_quantized_in_the_tape() -> None:
    in_tape = dataclasses.replace(rule("INTEGER", SHAPES[3], (3,)), G=None)
    assert_same(both(of_kind("normal", SHAPES[3]), in_tape, 0.9, 0.0))


def test_other_bits() -> None:
    own = UpdateRule(
        G=Scaled(6, stochastic=True, scale="power_of_two"),
        U=Uniform(12, 2.0),
        V=Uniform(16, 0.25),
        k_lr=24,
        decays=False,
    )
    assert_same(both(of_kind("normal", SHAPES[3]), own, 0.9, 0.0))


@pytest.mark.parametrize("kind", KINDS)
def test_poison(kind: str) -> None:
    gradient = tf.constant(of_kind(kind, (3, 5)))
    assert_same_bits(poisoned(gradient, tf.constant(True)), gradient)
    assert np.all(np.isnan(poisoned(gradient, tf.constant(False))))
