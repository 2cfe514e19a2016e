"""The custom gradients of `tfquantseg.numerics.errors`, against their closed forms."""

import numpy as np
import pytest
import tensorflow as tf

from tests.numerics import reference
from tests.numerics.modes import MODES
from tfquantseg.numerics import (
    Quantized,
    Scaled,
    Uniform,
    encode_error,
    encode_value,
    product,
    quantize_error,
    quantize_gradient,
    quantize_value,
    round_half_away,
    round_half_up,
    round_on_step,
)

E1 = Scaled(8, step="max/127", rounding="half_away")
SHAPE = (2, 3, 4)


def normal(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def backward(function, x: np.ndarray, error: np.ndarray, mode: str = "eager"):
    """Returns (function(x), dL/dx) where dL/dfunction(x) is ``error``."""

    def run(x: tf.Tensor, error: tf.Tensor):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return y, tape.gradient(y, x, output_gradients=error)

    y, gradient = MODES[mode](run)(tf.constant(x), tf.constant(error))
    return y.numpy(), gradient.numpy()


def scaled(x: np.ndarray, grid: Scaled) -> np.ndarray:
    rounding = reference.half_up if grid.rounding == "half_up" else reference.half_away
    integers, step = reference.scale_encoded(x, grid.bits, grid.step, rounding)
    return integers.astype(np.float32) * step


def test_encode_error_is_eq_16():
    error = normal(0)
    integers, step = encode_error(tf.constant(error), Scaled(8))
    expected, expected_step = reference.scale_encoded(error, 8, "max/128")
    np.testing.assert_array_equal(integers, expected)
    assert step.numpy() == expected_step


def heavy_tailed() -> np.ndarray:
    """Errors as softmax leaves them: few large negative ones, many small positive ones, sum 0."""
    error = np.full(10_000, 1e-3, np.float32)
    error[::1000] = -0.999
    return error


def test_the_nearest_integers_of_small_errors_lose_their_sum_and_stochastic_ones_keep_it():
    error = heavy_tailed()
    nearest = encode_error(tf.constant(error), Scaled(8, step="max/127")).product()
    assert np.sum(nearest) == pytest.approx(-9.99, rel=1e-5)  # float32's sum
    grid = Scaled(8, step="max/127", stochastic=True)
    drawn = [
        np.sum(encode_error(tf.constant(error), grid, f"layer {i}").product(), dtype=np.float64)
        for i in range(100)
    ]
    # A draw of one of 9,990 values: variance step^2 p (1 - p) with p = 1e-3 / step.
    step = 0.999 / 127
    p = 1e-3 / step
    deviation = step * np.sqrt(9_990 * p * (1 - p))
    true = float(np.sum(error, dtype=np.float64))
    assert abs(np.mean(drawn) - true) < 4 * deviation / np.sqrt(100)
    assert np.std(drawn) == pytest.approx(deviation, rel=0.3)  # of 100 draws: 7 %, four times


@pytest.mark.parametrize("mode", MODES)
def test_stochastic_errors_are_the_same_in_every_mode_and_differ_by_layer_and_scale(mode):
    grid = Scaled(8, stochastic=True)

    def integers(factor: float, name: str) -> np.ndarray:
        run = MODES[mode](lambda error: encode_error(error, grid, name).integers)
        return run(tf.constant(normal(0) * factor)).numpy()

    eager = encode_error(tf.constant(normal(0)), grid, "conv1").integers.numpy()
    np.testing.assert_array_equal(integers(1.0, "conv1"), eager)
    assert np.abs(integers(1.0, "conv1") - normal(0) / np.abs(normal(0)).max() * 128).max() <= 1
    assert (integers(1.0, "conv2") != eager).any()
    assert (integers(2.0, "conv1") != eager).any()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("error_grid", [None, Scaled(8), Scaled(16), E1], ids=repr)
@pytest.mark.parametrize("grid", [Uniform(8), Scaled(8, step="max/127")], ids=repr)
def test_encode_value(grid, error_grid, mode):
    x, error = 3 * normal(1), normal(2)
    y, gradient = backward(
        lambda x: product(encode_value(x, grid.encode, error_grid)), x, error, mode
    )
    np.testing.assert_array_equal(y, grid(tf.constant(x)))
    # Straight through, where the value is clipped as well.
    np.testing.assert_array_equal(
        gradient, error if error_grid is None else scaled(error, error_grid)
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("error_grid", [None, E1], ids=repr)
def test_a_value_that_is_clipped_has_no_error(error_grid, mode):
    x, error = normal(0), normal(1)
    step = np.float32(2.0**-7)  # a scale of 127/128: a third of normal values lie beyond
    x.flat[:4] = np.array([127.5, -127.5, 127.75, -127.75]) * step
    grid = Scaled(8, step="max/127")

    def encode(x: tf.Tensor) -> Quantized:
        return grid.encode(x, scale=tf.constant(127 * step))

    def function(x: tf.Tensor) -> tf.Tensor:
        return product(encode_value(x, encode, error_grid, within=127.5))

    y, gradient = backward(function, x, error, mode)
    assert np.array_equal(y.flat[:4], np.array([127, -127, 127, -127]) * step)
    # Half a step beyond the last integer is rounding; beyond that, the clip has a derivative of 0.
    masked = error * (np.abs(x) <= 127.5 * step)
    assert masked.flat[0] and masked.flat[1] and not masked.flat[2] and not masked.flat[3]
    assert 5 < np.count_nonzero(masked == 0) < 15
    expected = masked if error_grid is None else scaled(masked, error_grid)
    np.testing.assert_array_equal(gradient, expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("error_grid", [None, E1], ids=repr)
def test_a_clip_hides_no_error_that_is_not_finite(error_grid, bad, mode):
    x, error = normal(0), normal(1)
    x[0, 0, 0], error[0, 0, 0] = 9.0, bad  # arrives where the value is clipped

    def function(x: tf.Tensor) -> tf.Tensor:
        grid = Scaled(8, step="max/127")
        pair = encode_value(x, lambda x: grid.encode(x, scale=1.0), error_grid, within=127.5)
        return product(pair)

    _, gradient = backward(function, x, error, mode)
    assert np.isnan(gradient).all()


@pytest.mark.parametrize("mode", MODES)
def test_errors_of_all_consumers_are_summed_before_they_are_quantized(mode):
    x, error = normal(3), normal(4)

    def consumers(x: tf.Tensor) -> tf.Tensor:
        pair = encode_value(x, Uniform(8).encode, E1)
        on_integers = product(Quantized(tf.reverse(pair.integers, [0]), pair.step))
        return 4.0 * product(pair) - on_integers + 0.5 * product(pair)

    _, gradient = backward(consumers, x, error, mode)
    # The tape may add the three errors in any order, each sum rounded to float32.
    four, half, reverse = 4 * error, np.float32(0.5) * error, -error[::-1]
    sums = [(four + reverse) + half, (four + half) + reverse, four + (reverse + half)]
    assert any(np.array_equal(gradient, scaled(total, E1)) for total in sums)


def test_operations_on_the_integers_pass_errors_of_the_value():
    x, error = normal(5), normal(6)[:, 1:, :]

    def cropped(x: tf.Tensor) -> tf.Tensor:
        integers, step = encode_value(x, Scaled(8).encode)
        return product(Quantized(integers[:, 1:, :], step))

    _, gradient = backward(cropped, x, error)
    np.testing.assert_array_equal(gradient, np.pad(error, [(0, 0), (1, 0), (0, 0)]))


def test_an_unused_value_has_no_error():
    x = tf.constant(normal(5))
    with tf.GradientTape() as tape:
        tape.watch(x)
        step = encode_value(x, Scaled(8).encode, E1).step
    np.testing.assert_array_equal(tape.gradient(step, x), np.zeros(SHAPE))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("grid", [Uniform(8, limit=0.5), Scaled(8)], ids=repr)
def test_quantize_value(grid, mode):
    x, error = normal(7), normal(8)
    y, gradient = backward(lambda x: quantize_value(x, grid), x, error, mode)
    np.testing.assert_array_equal(y, grid(tf.constant(x)))
    np.testing.assert_array_equal(gradient, error)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("grid", [Scaled(8), Scaled(16), E1], ids=repr)
def test_quantize_error(grid, mode):
    x, error = normal(9), 1e-5 * normal(10)
    y, gradient = backward(lambda x: quantize_error(x, grid), x, error, mode)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(gradient, scaled(error.astype(np.float32), grid))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rescale", [True, False])
def test_quantize_gradient(rescale, mode):
    w, error = normal(11), 1e-4 * normal(12)
    grid = Scaled(8, stochastic=True, rescale=rescale)
    y, gradient = backward(lambda w: quantize_gradient(w, grid, (3, 4)), w, error, mode)
    np.testing.assert_array_equal(y, w)
    np.testing.assert_array_equal(gradient, grid(tf.constant(error), (3, 4)))
    # Not only the same function: one of the two neighbours of each number, by Eq 17 and 18.
    scale = np.max(np.abs(error)).astype(np.float64)
    steps = gradient.astype(np.float64) * 128 / (scale if rescale else 1)
    # A few quotients and products rounded to float32, of at most 128 steps.
    slack = 128 * 2**-22
    assert np.max(np.abs(steps - error.astype(np.float64) * 128 / scale)) <= 1 + slack
    np.testing.assert_allclose(steps, np.round(steps), rtol=0, atol=slack)


@pytest.mark.parametrize("mode", MODES)
def test_product(mode):
    integers, error = np.round(9 * normal(13)), normal(14)
    y, gradient = backward(
        lambda n: product(Quantized(n, tf.constant(0.25))), integers, error, mode
    )
    np.testing.assert_array_equal(y, integers / 4)
    np.testing.assert_array_equal(gradient, error)  # the value's error, not step times it


def test_product_gives_its_step_no_error():
    step = tf.constant(0.5)
    with tf.GradientTape() as tape:
        tape.watch(step)
        y = product(Quantized(tf.ones([3]), step))
    assert tape.gradient(y, step) is None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("rounding", "rule"),
    [(round_half_up, reference.half_up), (round_half_away, reference.half_away)],
)
def test_round_on_step(rounding, rule, mode):
    x, error = (np.arange(-12, 12).reshape(SHAPE) / 4).astype(np.float32), normal(15)
    y, gradient = backward(lambda x: round_on_step(x, rounding), x, error, mode)
    np.testing.assert_array_equal(y, rule(x))
    np.testing.assert_array_equal(gradient, error)


G = Scaled(8, stochastic=True)
POISONED = {
    "encode_value": lambda x: product(encode_value(x, Uniform(8).encode, E1)),
    "encode_value, Eq 4": lambda x: product(encode_value(x, Scaled(8).encode, Scaled(8))),
    "quantize_error": lambda x: quantize_error(x, Scaled(16)),
    "quantize_gradient, Eq 17": lambda x: quantize_gradient(x, G, (1, 2)),
    "quantize_gradient, Eq 18": lambda x: quantize_gradient(
        x, Scaled(8, stochastic=True, rescale=False), (1, 2)
    ),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("function", POISONED)
def test_an_error_that_is_not_finite_poisons_the_whole(function, bad, mode):
    error = normal(16)
    error[1, 2, 3] = bad
    _, gradient = backward(POISONED[function], normal(17), error, mode)
    assert np.all(np.isnan(gradient))


@pytest.mark.parametrize("mode", MODES)
def test_poison_spreads_through_the_layers_before(mode):
    error = np.zeros(SHAPE, np.float32)
    error[0, 0, 0] = np.inf
    _, gradient = backward(
        lambda x: quantize_error(quantize_value(quantize_error(x, E1), Uniform(8)), E1),
        normal(18),
        error,
        mode,
    )
    assert np.all(np.isnan(gradient))


@pytest.mark.parametrize("mode", MODES)
def test_errors_of_zeros_and_empty_errors_are_finite(mode):
    zeros = np.zeros(SHAPE, np.float32)
    for function in POISONED.values():
        _, gradient = backward(function, normal(19), zeros, mode)
        np.testing.assert_array_equal(gradient, zeros)
        empty = np.zeros([0, 3], np.float32)
        assert backward(function, empty, empty, mode)[1].shape == (0, 3)
