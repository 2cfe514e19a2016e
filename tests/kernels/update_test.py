"""The update of a master weight by the own op, bit for bit as TensorFlow's ops compute it."""

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from tests.kernels.values import KINDS, SHAPES, assert_same_bits, needs_own_ops, of_kind
from tfquantseg import kernels
from tfquantseg.numerics import Scaled, Uniform, encode_gradient, poisoned, update_weight
from tfquantseg.policy import UpdateRule, preset

pytestmark = needs_own_ops


class Step(NamedTuple):
    """What a step leaves behind."""

    weight: tf.Tensor
    velocity: tf.Tensor
    lost: tf.Tensor
    at_limit: tf.Tensor


def start(rule: UpdateRule, shape: tuple[int, ...]) -> tuple[tf.Variable, tf.Variable]:
    random = np.random.default_rng(shape)
    limits = rule.U.limits_for(shape)
    weight = rule.U(random.normal(size=shape).astype(np.float32) * limits)
    velocity = rule.V(random.normal(size=shape).astype(np.float32) * limits / 64)
    return tf.Variable(weight), tf.Variable(velocity)


def step(
    gradient: np.ndarray,
    weight: tf.Variable,
    velocity: tf.Variable,
    rule: UpdateRule,
    momentum: float = 0.9,
    decay: float = 0.0,
    applies: bool = True,
) -> Step:
    pair = encode_gradient(
        tf.convert_to_tensor(gradient),
        weight.value(),
        decay=decay,
        G=rule.G,
        seed=(5, 2**33),
    )
    counts = update_weight(
        weight,
        velocity if momentum else None,
        pair,
        applies=tf.constant(applies),
        rate=tf.constant(2.0**-6),
        momentum=momentum,
        U=rule.U,
        V=rule.V,
    )
    return Step(weight.value(), velocity.value(), *counts)


def both(gradient: np.ndarray, rule: UpdateRule, momentum: float, decay: float) -> list[Step]:
    """Returns a step by the own ops, and by stock ones."""
    finite = bool(np.isfinite(gradient).all())
    arguments = rule, momentum, decay, finite
    own = step(gradient, *start(rule, gradient.shape), *arguments)
    with kernels.stock():
        return [own, step(gradient, *start(rule, gradient.shape), *arguments)]


def assert_same(steps: list[Step]) -> None:
    own, stock = steps
    assert_same_bits(own.weight, stock.weight)
    assert_same_bits(own.velocity, stock.velocity)
    assert_same_bits(own.lost, stock.lost)
    assert_same_bits(own.at_limit, stock.at_limit)


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


def test_what_was_read_of_a_variable_stays_as_it_was() -> None:
    made = rule("INTEGER", SHAPES[3], (3,))
    weight, velocity = start(made, SHAPES[3])
    read = [weight.value(), velocity.value()]
    before = [tensor.numpy().copy() for tensor in read]
    step(of_kind("normal", SHAPES[3]), weight, velocity, made)
    for tensor, variable, old in zip(read, (weight, velocity), before, strict=True):
        assert_same_bits(tensor, old)
        assert np.any(variable.numpy() != old)


def test_variables_keep_their_memory() -> None:
    made = rule("INTEGER", SHAPES[3], (3,))
    variables = start(made, SHAPES[3])
    gradient = tf.constant(of_kind("normal", SHAPES[3]))
    run = tf.function(lambda g: step(g, *variables, made)[2:], autograph=False)
    run(gradient)  # Whatever read them while they were made is gone after it.
    at = [variable.numpy().ctypes.data for variable in variables]
    before = [variable.numpy().copy() for variable in variables]
    run(gradient)
    assert [variable.numpy().ctypes.data for variable in variables] == at
    for variable, old in zip(variables, before, strict=True):
        assert np.any(variable.numpy() != old)


def test_nothing_moves_where_it_does_not_apply() -> None:
    made = rule("INTEGER", SHAPES[3], (3,))
    weight, velocity = start(made, SHAPES[3])
    before = [weight.numpy().copy(), velocity.numpy().copy()]
    step(of_kind("normal", SHAPES[3]), weight, velocity, made, applies=False)
    assert_same_bits(weight.value(), before[0])
    assert_same_bits(velocity.value(), before[1])


@pytest.mark.parametrize("kind", KINDS)
def test_poison(kind: str) -> None:
    gradient = tf.constant(of_kind(kind, (3, 5)))
    assert_same_bits(poisoned(gradient, tf.constant(True)), gradient)
    assert np.all(np.isnan(poisoned(gradient, tf.constant(False))))
