"""QuantEdge: the scales of A (Eq 15), the error E1 (Eq 16), ties, the running estimate."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.numerics import reference
from tfquantseg.layers import Product, QuantEdge, hold_scales, set_evaluation_scales
from tfquantseg.layers.edge import RUNNING_MOMENTUM
from tfquantseg.numerics import scale_of
from tfquantseg.policy import FLOAT, INTEGER, PAPER_FCN

POLICIES = [INTEGER, PAPER_FCN]
ROUNDING = {"half_up": reference.half_up, "half_away": reference.half_away}


def named(policy) -> str:
    return policy.name


def data(seed: int = 0, most: float = 1.0) -> np.ndarray:
    """Returns normal values whose largest magnitude is ``most``, as float32."""
    x = np.random.default_rng(seed).standard_normal([2, 4, 5, 3]).astype(np.float32)
    x = x / np.max(np.abs(x)) * np.float32(most)
    x.flat[np.argmax(np.abs(x))] = most
    return x


NEAREST = dataclasses.replace(INTEGER, E_rounding="nearest", k_E1=4)


def encoded(x, policy, bits=8) -> tuple:
    return reference.scale_encoded(x, bits, policy.step, ROUNDING[policy.rounding])


def on_scale(x, policy, scale) -> tuple[np.ndarray, np.float32]:
    """Returns (integers, step) of x with a scale that is not its own: clipped at 127."""
    divisor = 127 if policy.step == "max/127" else 128
    n = ROUNDING[policy.rounding](np.float32(x) / np.float32(scale) * np.float32(divisor))
    return np.clip(n, -127, 127), np.float32(np.float64(np.float32(scale)) / divisor)


# Forward.


@pytest.mark.parametrize("policy", POLICIES, ids=named)
def test_training_uses_the_batchs_own_scale(policy):
    edge = QuantEdge(policy)
    for seed, most in ((0, 0.3), (1, 17.0)):
        n, step = edge(tf.constant(data(seed, most)), training=True)
        expected, expected_step = encoded(data(seed, most), policy)
        np.testing.assert_array_equal(n, expected)
        assert step.numpy() == expected_step


@pytest.mark.parametrize("policy", POLICIES, ids=named)
def test_the_running_estimate_and_evaluation_on_it(policy):
    edge = QuantEdge(policy)
    estimate = np.float32(4.0)
    edge(tf.constant(data(0, 4.0)), training=True)
    assert edge.running_scale.numpy() == estimate  # the first batch's
    for seed, most in ((1, 2.0), (2, 0.5)):
        edge(tf.constant(data(seed, most)), training=True)
        estimate = RUNNING_MOMENTUM * estimate + (1 - RUNNING_MOMENTUM) * most
    got = edge.running_scale.numpy()
    assert abs(got - estimate) < 4 * 2.0**-22  # float32
    x = data(3, 9.0)  # beyond the estimate: clipped
    n, step = edge(tf.constant(x))
    expected, expected_step = on_scale(x, policy, got)
    np.testing.assert_array_equal(n, expected)
    assert step.numpy() == expected_step
    assert np.max(np.abs(n)) == 127
    assert edge.running_scale.numpy() == got  # evaluation moves nothing


@pytest.mark.parametrize("choice", ["percentile", "moments"])
def test_a_smaller_scale_clips_what_lies_beyond_and_stops_its_error(choice):
    policy = dataclasses.replace(INTEGER, A_scale=choice, E_rounding="nearest")
    edge = QuantEdge(policy)
    x = np.random.default_rng(0).standard_normal([4, 60, 60, 3]).astype(np.float32)
    x[0, 0, 0, :2] = 50.0, -50.0  # beyond any such scale
    scale = scale_of(tf.constant(x), choice).numpy()
    assert 3 < scale < 9
    with tf.GradientTape() as tape:
        value = tf.constant(x)
        tape.watch(value)
        n, step = edge(value, training=True)
        loss = tf.reduce_sum(Product()((n, step)))
    expected, expected_step = on_scale(x, policy, scale)
    np.testing.assert_array_equal(n, expected)
    assert step.numpy() == expected_step
    inside = np.abs(x) <= 127.5 * expected_step
    assert not inside[0, 0, 0, 0] and not inside[0, 0, 0, 1] and inside.mean() > 0.999
    np.testing.assert_array_equal(tape.gradient(loss, value), inside.astype(np.float32))
    assert edge.running_scale.numpy() == scale  # and so a file's step is this one too


@pytest.mark.parametrize("choice", ["max", "moments"])
def test_what_is_not_negative_takes_an_unsigned_grid(choice):
    policy = INTEGER.changed(f"A_sign=unsigned_after_relu A_scale={choice} E_rounding=nearest")
    signed, edge = QuantEdge(policy), QuantEdge(policy, non_negative=True)
    assert (signed.unsigned, edge.unsigned) == (False, True)
    x = np.maximum(data(0, 3.0), 0)
    x[0, 0, 0, 0] = 30.0  # moments clip it
    scale = np.float32(scale_of(tf.constant(x), choice))
    with tf.GradientTape() as tape:
        value = tf.constant(x)
        tape.watch(value)
        n, step = edge(value, training=True)
        loss = tf.reduce_sum(Product()((n, step)))
    expected = reference.half_away(x / scale * np.float32(255))
    np.testing.assert_array_equal(n, np.clip(expected, 0, 255))
    assert step.numpy() == np.float32(np.float64(scale) / 255)
    inside = x <= 255.5 * step.numpy()
    assert inside.all() == (choice == "max")
    np.testing.assert_array_equal(tape.gradient(loss, value), inside.astype(np.float32))
    again = QuantEdge.from_config(edge.get_config())
    assert again.unsigned and again.get_config() == edge.get_config()
    assert "non_negative" not in signed.get_config()


def test_of_tied_tensors_the_largest_scale_counts():
    edge = QuantEdge(dataclasses.replace(INTEGER, A_scale="moments"), quantize_error=(True, True))
    tensors = [tf.constant(data(0, 3.0)), tf.constant(data(1, 0.5))]
    *_, step = edge(tensors, training=True)
    assert step.numpy() == np.float32(np.float64(scale_of(tensors[0], "moments").numpy()) / 127)


def test_an_edge_that_was_never_trained_uses_dynamic_scales():
    n, step = QuantEdge(INTEGER)(tf.constant(data(0, 3.0)))
    expected, expected_step = encoded(data(0, 3.0), INTEGER)
    np.testing.assert_array_equal(n, expected)
    assert step.numpy() == expected_step


def test_a_fixed_scale_takes_all_256_values_of_the_device():
    edge = QuantEdge(INTEGER, fixed_scale=1.0)
    pixels = np.arange(256, dtype=np.float32).reshape(1, 16, 16, 1)
    for training in (True, False):
        n, step = edge(tf.constant(pixels / 128 - 1), training=training)
        np.testing.assert_array_equal(n, pixels - 128)
        assert step.numpy() == 1 / 128
    n, _ = edge(tf.constant([-7.0, 7.0, 0.3 / 128, 0.6 / 128]))
    assert n.numpy().tolist() == [-128, 127, 0, 1]
    assert edge.weights == []


@pytest.mark.parametrize("training", [True, False])
def test_zeros_stay_zeros(training):
    edge = QuantEdge(INTEGER)
    n, step = edge(tf.zeros([2, 3]), training=training)
    assert not n.numpy().any()
    assert np.isfinite(step) and step.numpy() > 0
    assert edge.running_scale.numpy() == 0


def test_the_estimate_starts_at_the_first_batch_that_is_not_zero():
    edge = QuantEdge(INTEGER)
    edge(tf.zeros([2, 3]), training=True)
    edge(tf.constant([[0.5, -2.0]]), training=True)
    assert edge.running_scale.numpy() == 2.0
    edge(tf.zeros([2, 3]), training=True)
    assert edge.running_scale.numpy() == np.float32(RUNNING_MOMENTUM * 2.0)


def test_a_float_policy_passes_values_on():
    x = data()
    n, step = QuantEdge(FLOAT)(tf.constant(x), training=True)
    np.testing.assert_array_equal(n, x)
    assert step.numpy() == 1


# Ties.


@pytest.mark.parametrize("training", [True, False])
def test_tied_tensors_share_the_step_of_the_largest(training):
    edge = QuantEdge(INTEGER, quantize_error=(True, True, True))
    xs = [data(0, 0.5), -data(1, 6.0)[:, :2], data(2, 2.0)[..., :1]]
    *integers, step = edge([tf.constant(x) for x in xs], training=training)
    for x, n in zip(xs, integers, strict=True):
        expected, expected_step = on_scale(x, INTEGER, 6.0)
        np.testing.assert_array_equal(n, expected)
        assert step.numpy() == expected_step
    assert edge.running_scale.numpy() == (6.0 if training else 0.0)


def test_as_many_tensors_as_were_declared():
    edge = QuantEdge(INTEGER, quantize_error=(True, False), name="tie")
    with pytest.raises(ValueError, match=r"tie.*2 tensors.*received 3"):
        edge([tf.ones([2])] * 3)


# Errors.


@pytest.mark.parametrize("policy", [NEAREST, dataclasses.replace(PAPER_FCN, k_E1=4)], ids=named)
def test_errors_are_summed_over_consumers_before_they_are_quantized(policy):
    edge, x = QuantEdge(policy), tf.constant(data())
    first, second = data(1, 5.0), data(2, 0.7)
    with tf.GradientTape() as tape:
        tape.watch(x)
        pair = edge(x, training=True)
        loss = tf.reduce_sum(Product()(pair) * first) + tf.reduce_sum(Product()(pair) * second)
    n, step = encoded(first + second, policy, bits=4)
    np.testing.assert_array_equal(tape.gradient(loss, x), n.astype(np.float32) * step)


def test_each_tied_tensors_error_has_its_own_scale_where_it_is_quantized():
    edge = QuantEdge(NEAREST, quantize_error=(True, False, True))
    xs = [tf.constant(data(seed)) for seed in range(3)]
    errors = [data(3, 5.0), data(4, 0.7), data(5, 0.01)]
    with tf.GradientTape() as tape:
        tape.watch(xs)
        *integers, step = edge(xs, training=True)
        loss = sum(
            tf.reduce_sum(Product()((n, step)) * e) for n, e in zip(integers, errors, strict=True)
        )
    gradients = tape.gradient(loss, xs)
    np.testing.assert_array_equal(gradients[1], errors[1])
    for i in (0, 2):
        n, s = encoded(errors[i], NEAREST, bits=4)
        np.testing.assert_array_equal(gradients[i], n.astype(np.float32) * s)


def test_tied_tensors_may_have_errors_of_other_bits():
    wide = dataclasses.replace(NEAREST, k_E1=6)
    edge = QuantEdge(NEAREST, quantize_error=(True, True), error_policies=(NEAREST, wide))
    edge = QuantEdge.from_config(edge.get_config())
    xs, errors = [tf.constant(data(seed)) for seed in range(2)], [data(3, 5.0), data(4, 0.7)]
    with tf.GradientTape() as tape:
        tape.watch(xs)
        *integers, step = edge(xs, training=True)
        loss = sum(
            tf.reduce_sum(Product()((n, step)) * e) for n, e in zip(integers, errors, strict=True)
        )
    for got, error, policy, bits in zip(
        tape.gradient(loss, xs), errors, (NEAREST, wide), (4, 6), strict=True
    ):
        n, s = encoded(error, policy, bits=bits)
        np.testing.assert_array_equal(got, n.astype(np.float32) * s)


def test_stochastic_errors_draw_by_edge_and_by_scale():
    def gradient(name: str, factor: float) -> np.ndarray:
        edge, x = QuantEdge(INTEGER, name=name), tf.constant(data())
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(Product()(edge(x, training=True)) * data(1, 5.0) * factor)
        return tape.gradient(loss, x).numpy() / factor

    once = gradient("edge", 1.0)
    np.testing.assert_array_equal(gradient("edge", 1.0), once)
    assert (gradient("other", 1.0) != once).any()
    # Another scale, another draw: 3 and 1/3 leave float32's rounding, a step is 5 / 127.
    assert np.abs(gradient("edge", 3.0) - once).max() > 0.9 * 5 / 127
    assert np.abs(once - data(1, 5.0)).max() < 5 / 127


@pytest.mark.parametrize("fixed_scale", [None, 0.5])
def test_the_error_passes_straight_through_where_values_are_clipped(fixed_scale):
    edge, x, error = QuantEdge(INTEGER, quantize_error=(False,), fixed_scale=fixed_scale), data(), 1
    edge(tf.constant(data(1, 0.1)), training=True)  # so that evaluation clips
    x, error = tf.constant(x), data(2)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = Product()(edge(x, training=False))
    np.testing.assert_array_equal(tape.gradient(y, x, tf.constant(error)), error)


# Files and choices.


def model_of(fixed_scale: float | None = None) -> keras.Model:
    inputs = keras.Input([4, 5, 3])
    edge = QuantEdge(PAPER_FCN, quantize_error=(False,), fixed_scale=fixed_scale, name="edge")
    return keras.Model(inputs, Product(name="value")(edge(inputs)))


@pytest.mark.parametrize("fixed_scale", [None, 0.5])
def test_a_loaded_edge_is_the_saved_one(fixed_scale, tmp_path):
    model = model_of(fixed_scale)
    model(tf.constant(data(0, 3.0)), training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    edge, again = model.get_layer("edge"), loaded.get_layer("edge")
    assert again.get_config() == edge.get_config()
    assert (again.policy, again.quantize_error) == (PAPER_FCN, (False,))
    x = tf.constant(data(1, 7.0))
    np.testing.assert_array_equal(model(x), loaded(x))


def test_set_evaluation_scales():
    model = model_of()
    model(tf.constant(data(0, 3.0)), training=True)
    x = data(1, 7.0)

    def most() -> float:
        return float(np.max(np.abs(model(tf.constant(x)))))

    assert most() == 127 * np.float32(3 / 128)
    set_evaluation_scales(model, "dynamic")
    assert most() == 127 * np.float32(7 / 128)
    set_evaluation_scales(model, "running")
    assert most() == 127 * np.float32(3 / 128)


def test_another_word_for_scales_is_an_error():
    with pytest.raises(ValueError, match="'running' or 'dynamic', received 'moving'"):
        set_evaluation_scales(model_of(), "moving")


# Held scales.


def held_model(scales=None):
    image = keras.Input((4,))
    *integers, step = QuantEdge(INTEGER, name="edge")(image)
    model = keras.Model(image, Product()((integers[0], step)))
    model(data().reshape(-1, 4), training=True)
    hold_scales(model, scales)
    return model


@pytest.mark.parametrize("scales", [None, {"edge": 0.75}])
def test_held_scales_are_used_in_training_and_stay(scales):
    model = held_model(scales)
    held = model.get_layer("edge").running_scale.numpy()
    assert scales is None or held == 0.75
    x = 9 * data(1).reshape(-1, 4)
    y = model(x, training=True).numpy()
    np.testing.assert_array_equal(y, model(x, training=False).numpy())
    assert model.get_layer("edge").running_scale.numpy() == held
    assert np.abs(y).max() <= np.float32(held) * (1 + 1e-6)  # float32's rounding of 127 * step


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ({"egde": 1.0}, "'egde' is no edge of model .* accepted are edge"),
        ({"edge": 0.0}, "'edge': scales are positive and finite, received 0.0"),
        ({"edge": float("inf")}, "positive and finite, received inf"),
    ],
)
def test_scales_that_cannot_be_held(scales, message):
    with pytest.raises(ValueError, match=message):
        held_model(scales)
