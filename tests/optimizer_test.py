"""IntegerSGD: its steps (Eq 7, 17 - 19) in NumPy, its grids, its monitors."""

import dataclasses

import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.masters import IN_TAPE, LIMITS, STEP, gradients, master, numpys, on_grid, variables_of
from tests.numerics.modes import MODES
from tfquantseg.optimizer import IntegerSGD, off_grid
from tfquantseg.policy import INTEGER, PAPER_FCN

# The formula.


@pytest.mark.parametrize("decay", [0.0, 3e-2])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("policy", [INTEGER, PAPER_FCN, IN_TAPE], ids=lambda policy: policy.name)
def test_five_steps_are_those_of_the_formula(policy, momentum, decay):
    variables = variables_of(policy)
    optimizer = IntegerSGD(2.0**-5, momentum=momentum, decay=decay, seed=11)
    expected, velocities = numpys(variables), [np.float32(0), np.float32(0)]
    limits = (np.asarray(LIMITS[policy.name]), 1.0)
    for step in range(5):
        grads = gradients(step, variables)
        optimizer.apply([tf.constant(g) for g in grads], variables)
        for i, (w, g, limit) in enumerate(zip(expected, grads, limits, strict=True)):
            if decay and i == 0:
                g = g + np.float32(decay) * w
            if policy.G_at == "optimizer":
                g = policy.G()(tf.constant(g), seed=(11, 2 * step + i)).numpy()
            move = np.float32(2.0**-5) * g
            if momentum:
                move = np.float32(momentum) * velocities[i] + move
                move = velocities[i] = on_grid(move, limit / 16, policy.rounding)
            most = limit * (1 - STEP)
            moved = np.clip(w - on_grid(move, limit, policy.rounding), -most, most)
            expected[i] = moved.astype(np.float32)
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_eq_17_keeps_the_gradients_magnitude_and_eq_18_drops_it():
    for policy, most in ((INTEGER, 1e-3), (PAPER_FCN, 127 / 128)):
        variable = master(np.zeros(1000), policy=policy)
        gradient = np.random.default_rng(0).uniform(-1e-3, 1e-3, 1000).astype(np.float32)
        gradient[0] = -1e-3
        IntegerSGD(0.5).apply([tf.constant(gradient)], [variable])
        # 1e-3 is rounded onto the master's grid.
        moved = variable.numpy()
        np.testing.assert_allclose(moved[0], 0.5 * most, rtol=0, atol=STEP / 2)
        assert np.max(np.abs(moved)) == moved[0]


def test_another_seed_step_or_variable_draws_otherwise():
    gradient = tf.constant(np.random.default_rng(0).normal(size=500), tf.float32)

    def moves(seed: int) -> np.ndarray:
        variables = [master(np.zeros(500), 4.0, INTEGER, name) for name in ("a", "b")]
        optimizer = IntegerSGD(0.5, seed=seed)
        rows = []
        for _ in range(2):
            before = numpys(variables)
            optimizer.apply([gradient, gradient], variables)
            rows += [new - old for new, old in zip(numpys(variables), before, strict=True)]
        return np.stack(rows)

    np.testing.assert_array_equal(moves(0), moves(0))
    assert len(np.unique(np.concatenate([moves(0), moves(1)]), axis=0)) == 8


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_graph_and_xla_take_the_same_steps_as_eager_execution(mode):
    def weights(mode: str) -> list[np.ndarray]:
        variables = variables_of(INTEGER)
        optimizer = IntegerSGD(2.0**-5, momentum=0.5, decay=2.0**-6, seed=3)
        optimizer.build(variables)
        apply = MODES[mode](lambda *grads: optimizer.apply(grads))
        for step in range(3):
            apply(*(tf.constant(g) for g in gradients(step, variables)))
        assert optimizer.iterations.numpy() == 3
        return numpys(variables)

    # With powers of two no product is rounded: XLA's fused multiply and add changes no bit.
    for eager, other in zip(weights("eager"), weights(mode), strict=True):
        np.testing.assert_array_equal(eager, other)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_float_variable_takes_the_steps_of_keras_sgd(momentum):
    start = np.random.default_rng(0).normal(size=[4, 3]).astype(np.float32)
    ours, theirs = keras.Variable(start), keras.Variable(start)
    optimizers = IntegerSGD(0.1, momentum=momentum), keras.optimizers.SGD(0.1, momentum=momentum)
    for step in range(5):
        for optimizer, variable in zip(optimizers, (ours, theirs), strict=True):
            optimizer.apply([tf.constant(g) for g in gradients(step, [variable])], [variable])
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert optimizers[0].monitors() == {}
    assert off_grid(ours) == 0


def test_decay_of_float_variables_is_added_to_kernels_alone():
    kernel = keras.Variable(np.full([2, 2], 4.0, np.float32))
    bias = keras.Variable(np.full([2], 4.0, np.float32))
    IntegerSGD(0.5, decay=0.25).apply([tf.zeros([2, 2]), tf.zeros([2])], [kernel, bias])
    np.testing.assert_array_equal(kernel.numpy(), np.full([2, 2], 4.0 - 0.5 * 0.25 * 4.0))
    np.testing.assert_array_equal(bias.numpy(), [4.0, 4.0])


# Grids and limits.


@hypothesis.settings(max_examples=15)
@hypothesis.given(
    policy=st.sampled_from([INTEGER, PAPER_FCN, IN_TAPE]),
    momentum=st.sampled_from([0.0, 0.5, 0.9]),
    rate=st.integers(1, 2**23 - 1).map(lambda n: n * STEP),
    decay=st.floats(0, 0.1),
    magnitude=st.floats(-12, 6).map(lambda exponent: 10**exponent),
    seed=st.integers(0, 2**63 - 1),
)
def test_masters_stay_on_their_grid(policy, momentum, rate, decay, magnitude, seed):
    variables = variables_of(policy)
    optimizer = IntegerSGD(rate, momentum=momentum, decay=decay, seed=seed)
    for step in range(8):
        grads = gradients(step, variables)
        optimizer.apply([tf.constant(magnitude * g, tf.float32) for g in grads], variables)
    for variable, limit in zip(variables, (LIMITS[policy.name], 1.0), strict=True):
        assert off_grid(variable) == 0
        np.testing.assert_array_equal(variable.numpy(), on_grid(variable, limit, policy.rounding))


@pytest.mark.parametrize("policy", [INTEGER, PAPER_FCN], ids=lambda policy: policy.name)
def test_masters_stay_on_their_grid_for_many_steps(policy):
    variables = variables_of(policy)
    optimizer = IntegerSGD(3 * 2.0**-9, momentum=0.9, decay=1e-3)
    optimizer.build(variables)

    @tf.function
    def steps():
        for step in tf.range(1000):
            optimizer.apply(
                [
                    tf.random.stateless_normal(v.shape, tf.stack([step, i]))
                    for i, v in enumerate(variables)
                ]
            )

    before = numpys(variables)
    steps()
    assert [off_grid(variable) for variable in variables] == [0, 0]
    for variable, old in zip(variables, before, strict=True):
        assert np.mean(variable.numpy() != old) == 1


def test_off_grid_counts_elements():
    variable = master([0.5, 0.25, -0.125, 0.0])
    assert off_grid(variable) == 0
    # Below one half float32 is finer than the grid; 1 lies beyond its last value.
    variable.assign([0.5, 0.25 + 2.0**-24, 1.0, STEP])
    assert off_grid(variable) == 2


def test_masters_are_clipped_at_each_channels_limit():
    limits = (0.5, 1.0, 4.0)
    variable = master(np.zeros([2, 3]), limits)
    gradient = np.array([[100.0] * 3, [-100.0] * 3], np.float32)
    optimizer = IntegerSGD(0.5)
    for _ in range(5):  # an update, too, is at most the limit
        optimizer.apply([tf.constant(gradient)], [variable])
        most = np.array(limits) * (1 - STEP)
        np.testing.assert_array_equal(variable.numpy(), np.stack([-most, most]))
    assert optimizer.monitors()["kernel"]["at_limit"] == 1
    optimizer.apply([tf.constant(-gradient * [[0, 1, 0], [0, 0, 0]], tf.float32)], [variable])
    assert optimizer.monitors()["kernel"]["at_limit"] == 5 / 6


def test_nothing_trainable_is_no_error():
    optimizer = IntegerSGD(0.5)
    optimizer.apply([], [])
    assert optimizer.monitors() == {}


# Monitors.


def test_lost_updates_are_counted_exactly():
    steps = np.array([0.0, 0.25, 0.49, 0.5, 0.51, 1.0, -0.49, -0.5, -0.25, 3.3])
    for policy, lost in ((IN_TAPE, 4), (dataclasses.replace(IN_TAPE, rounding="half_up"), 5)):
        for limit in (1.0, 0.125):
            variable = master(np.zeros(10), limit, policy)
            optimizer = IntegerSGD(0.25)
            gradient = tf.constant(steps * STEP * limit / 0.25, tf.float32)
            for _ in range(2):  # of the last step, not their sum
                optimizer.apply([gradient], [variable])
                assert optimizer.monitors() == {"kernel": {"lost": lost / 10, "at_limit": 0}}


def test_momentum_saves_updates_below_a_step():
    variable = master(np.zeros(1))
    optimizer = IntegerSGD(0.5, momentum=0.5)
    lost = []
    for _ in range(3):  # velocities of 0.375, 0.5625 and 0.65625, rounded to 0.375, 0.5625, 0.6875
        optimizer.apply([tf.constant([0.375 * STEP / 0.5])], [variable])
        lost.append(optimizer.monitors()["kernel"]["lost"])
    assert lost == [1, 0, 0]
    np.testing.assert_array_equal(variable.numpy(), [-2 * STEP])


# Gradients that are not finite.


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_gradient_that_is_not_finite_changes_nothing_and_is_named(bad, mode):
    variables = [
        master(np.full([3], 0.5), 1.0, INTEGER, "first"),
        keras.Variable(np.full([2, 2], 0.5, np.float32), name="second"),
        master(np.full([4], 0.5), 1.0, INTEGER, "third"),
    ]
    optimizer = IntegerSGD(0.5, momentum=0.5, decay=0.5)
    optimizer.build(variables)
    apply = MODES[mode](lambda *grads: optimizer.apply(grads))
    good = [tf.ones(v.shape) for v in variables]
    apply(*good)
    assert optimizer.nonfinite_layers() == []
    velocities = [v for v in optimizer.variables if "velocity" in v.path]
    assert len(velocities) == 3
    before = numpys([*variables, *velocities])
    for named in (["second"], ["third"], ["third", "first"]):
        grads = [
            tf.constant([1.0] * (int(np.prod(v.shape)) - 1) + [bad if v.name in named else 1.0])
            for v in variables
        ]
        apply(*(tf.reshape(g, v.shape) for g, v in zip(grads, variables, strict=True)))
        assert optimizer.nonfinite_layers() == named
        for old, new in zip(before, numpys([*variables, *velocities]), strict=True):
            np.testing.assert_array_equal(old, new)
    apply(*good)
    assert optimizer.nonfinite_layers() == []
    assert all((old != new).all() for old, new in zip(before[:3], numpys(variables), strict=True))
