"""Layers on integers: dropout, rounding, the check of a grid, and a pooling that is Keras's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.numerics import reference
from tests.numerics.modes import MODES
from tfquantseg.layers import (
    LeanMaxPooling2D,
    Product,
    QuantDropout,
    RoundOnStep,
    StaysOnGrid,
)

STEP = np.float32(0.043)
RATES = [0.1, 0.3, 0.5, 0.9]


def integers(shape: tuple[int, ...] = (8, 16, 16, 4)) -> np.ndarray:
    """Returns integers of 8 bits without a zero."""
    n = np.random.default_rng(0).integers(1, 128, shape)
    return (n * np.random.default_rng(1).choice([-1, 1], shape)).astype(np.float32)


@pytest.mark.parametrize("mode", ["eager", "graph"])
@pytest.mark.parametrize("rate", RATES)
def test_dropout_keeps_integers_and_lengthens_the_step(rate, mode):
    n = integers()
    layer = QuantDropout(rate, seed=3)
    dropped, step = MODES[mode](lambda n: layer((n, tf.constant(STEP)), training=True))(n)
    dropped = dropped.numpy()
    np.testing.assert_array_equal(dropped, np.where(dropped != 0, n, 0))
    np.testing.assert_allclose(step, STEP / (1 - rate), rtol=2.0**-23)  # one float32 rounding
    # Five standard errors of the share of 8,192 Bernoulli draws.
    tolerance = 5 * np.sqrt(rate * (1 - rate) / n.size)
    assert abs(np.mean(dropped == 0) - rate) < tolerance


@pytest.mark.parametrize("rate", RATES)
def test_dropout_preserves_the_mean(rate):
    n = np.full([100_000], 100.0, np.float32)
    kept, step = QuantDropout(rate, seed=3)((tf.constant(n), tf.constant(STEP)), training=True)
    # Five standard errors of the mean of Bernoulli draws, each worth 1 / (1 - rate).
    tolerance = 5 * np.sqrt(rate / (1 - rate) / n.size)
    assert abs(np.mean(kept, dtype=np.float64) * float(step) / (100 * STEP) - 1) < tolerance


@pytest.mark.parametrize("rate", RATES)
def test_values_and_gradients_are_those_of_keras_dropout_on_the_product(rate):
    n = tf.constant(integers())
    error = tf.constant(np.random.default_rng(2).normal(size=n.shape), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        value = n * STEP
        tape.watch([n, value])
        ours = Product()(QuantDropout(rate, seed=3)((n, tf.constant(STEP)), training=True))
        theirs = keras.layers.Dropout(rate, seed=3)(value, training=True)
    # The step takes the factor in one, the value in the other: one float32 rounding each.
    np.testing.assert_allclose(ours, theirs, rtol=3 * 2.0**-24)
    np.testing.assert_array_equal(
        tape.gradient(ours, n, error),  # by the convention, the error of the pair's value
        tape.gradient(theirs, value, error),
    )


def test_dropout_draws_otherwise_each_time():
    layer, pair = QuantDropout(0.5, seed=3), (tf.constant(integers()), tf.constant(STEP))
    first, second = (layer(pair, training=True)[0].numpy() for _ in range(2))
    assert (first != second).any()


@pytest.mark.parametrize(("rate", "training"), [(0.5, False), (0.0, True)])
def test_where_nothing_is_dropped_the_pair_stays(rate, training):
    pair = (tf.constant(integers()), tf.constant(STEP))
    for got, given in zip(QuantDropout(rate)(pair, training=training), pair, strict=True):
        np.testing.assert_array_equal(got, given)


def test_dropping_everything_gives_zeros():
    n, step = QuantDropout(1.0)((tf.constant(integers()), tf.constant(STEP)), training=True)
    np.testing.assert_array_equal(n * step, np.zeros(n.shape))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rounding", ["half_up", "half_away", "half_even"])
def test_round_on_step(rounding, mode):
    rules = {"half_up": reference.half_up, "half_away": reference.half_away, "half_even": np.rint}
    rule = rules[rounding]
    x = np.float32([0, 0.25, 0.5, 0.75, 1.5, 2.5, -0.25, -0.5, -0.75, -1.5, -2.5, 126.5, -127.2])
    layer = RoundOnStep(rounding)

    def step(x: tf.Tensor):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return y, tape.gradient(y, x, tf.constant(x.shape[0] * [0.3]))

    y, gradient = MODES[mode](step)(tf.constant(x))
    np.testing.assert_array_equal(y, rule(x))
    np.testing.assert_array_equal(gradient, np.full_like(x, 0.3))


def test_the_average_of_integers_is_within_half_a_step():
    x = keras.layers.AveragePooling2D(2)(integers())
    y = RoundOnStep()(x).numpy()
    np.testing.assert_array_equal(y, reference.half_away(x))
    assert np.max(np.abs(y - x)) == 0.5


def test_another_rounding_is_an_error():
    with pytest.raises(ValueError, match=r"half_up, half_away, half_even.*received 'half_odd'"):
        RoundOnStep("half_odd")


def test_a_loaded_model_computes_the_same(tmp_path):
    inputs = (keras.Input([4, 4, 2]), keras.Input(batch_shape=()))
    n, step = QuantDropout(0.25, seed=5, name="dropout")(inputs)
    model = keras.Model(inputs, Product()((RoundOnStep("half_up", name="rounded")(n / 4), step)))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("rounded").rounding == "half_up"
    assert loaded.get_layer("dropout").rate == 0.25
    pair = [tf.constant(integers((2, 4, 4, 2))), tf.constant(STEP)]
    for training in (False, True):  # with the same draws
        one, other = (m(pair, training=training) for m in (model, loaded))
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("mode", ["eager", "graph"])  # XLA leaves assertions out.
def test_integers_of_a_grid_pass_a_check_with_their_error(mode):
    layer = StaysOnGrid.from_config(StaysOnGrid(-128, 127, "off", name="a").get_config())

    def step(x: tf.Tensor):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return y, tape.gradient(y, x, 0.3 * tf.ones_like(x))

    x = np.float32([-128, -1, 0, 127])
    y, gradient = MODES[mode](step)(tf.constant(x))
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(gradient, np.full_like(x, 0.3))
    for bad in (0.5, 128, -129, np.nan):
        with pytest.raises(tf.errors.InvalidArgumentError, match="off"):
            MODES[mode](step)(tf.constant([0, bad], tf.float32))


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_pooling_equals_keras(padding):
    n = integers((2, 7, 9, 3))
    layer = LeanMaxPooling2D(3, 2, padding=padding, name="pool")
    np.testing.assert_array_equal(layer(n), keras.layers.MaxPooling2D(3, 2, padding=padding)(n))
    copy = LeanMaxPooling2D.from_config(layer.get_config())
    assert copy.pool_size == (3, 3) and copy.strides == (2, 2) and copy.name == "pool"


@pytest.mark.parametrize("mode", MODES)
def test_averages_of_unsigned_integers_round_as_a_device_s_bytes(mode):
    """A device holds n as the byte n - 128, and rounds the average of bytes half away from 0."""
    layer = RoundOnStep("half_away", centre=128)
    n = np.array([0, 0.25, 0.5, 1.5, 127.5, 128.5, 200.5, 254.5, 255], np.float32)
    rounded = MODES[mode](layer)(tf.constant(n))
    np.testing.assert_array_equal(rounded, reference.half_away(n - 128) + 128)
    assert rounded.numpy().tolist() == [0, 0, 0, 1, 127, 129, 201, 255, 255]
    again = RoundOnStep.from_config(layer.get_config())
    assert again.centre == 128 and "centre" not in RoundOnStep().get_config()
