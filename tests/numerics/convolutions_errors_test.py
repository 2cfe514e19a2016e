"""Where `tfquantseg.numerics.Convolution` quantizes its error, and what it refuses."""

import dataclasses
import re

import numpy as np
import pytest
import tensorflow as tf

from tests.numerics import reference
from tests.numerics.modes import MODES
from tfquantseg.numerics import PRODUCTS, Convolution, Quantized, Scaled

E2 = Scaled(8, step="max/127", rounding="half_away")
S_A, S_W = np.float32(0.043), np.float32(0.0071)  # any steps: not powers of two


def operands(outputs: int = 4, seed: int = 0):
    """Returns the integers of an input, a 3x3 kernel, and a float error with its maximum alone."""
    rng = np.random.default_rng(seed)
    n_a = rng.integers(-128, 128, [2, 5, 6, 3]).astype(np.float32)
    n_w = rng.integers(-127, 128, [3, 3, 3, outputs]).astype(np.float32)
    return n_a, n_w, rng.standard_normal([2, 5, 6, outputs]).astype(np.float32)


def backward(convolution, n_a, n_w, s_w, error, mode="eager"):
    """Returns the output and the gradients of the input, the kernel and a zero bias."""

    def step(n_a, n_w, s_w, bias, error):
        with tf.GradientTape() as tape:
            tape.watch([n_a, n_w, bias])
            y = convolution(Quantized(n_a, tf.constant(S_A)), Quantized(n_w, s_w), bias)
        return y, *tape.gradient(y, [n_a, n_w, bias], output_gradients=error)

    arguments = (n_a, n_w, s_w, np.zeros(n_w.shape[-1]), error)
    return [r.numpy() for r in MODES[mode](step)(*(tf.constant(x, tf.float32) for x in arguments))]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("error_at", ["convolution", "activation"])
@pytest.mark.parametrize("activation", ["relu", "relu6"])
@pytest.mark.parametrize("grid", [E2, Scaled(8), Scaled(16)], ids=repr)
def test_the_error_is_quantized_before_or_after_the_activation(grid, activation, error_at, mode):
    n_a, n_w, error = operands()
    convolution = Convolution(kind="conv2d", activation=activation, error=grid, error_at=error_at)
    sums = reference.products("conv2d", n_a, n_w, None)[0]
    y = sums.astype(np.float32) * (S_A * S_W)
    passes = (y > 0) & (y < 6) if activation == "relu6" else y > 0
    assert 0.1 < np.mean(passes) < 0.9
    # The largest error lies where it does not pass: the two kinds have different scales.
    error.reshape(-1)[np.argmin(passes)] = 20.0
    rule = reference.half_up if grid.rounding == "half_up" else reference.half_away
    masked = np.where(passes, error, 0) if error_at == "convolution" else error
    n_e, s_e = reference.scale_encoded(masked, grid.bits, grid.step, rule)
    n_e = np.where(passes, n_e, 0)
    _, to_input, to_weight = reference.products("conv2d", n_a, n_w, n_e)

    got = backward(convolution, n_a, n_w, S_W, error, mode)
    # At 16 bits a sum passes 2**24 and is rounded: K = 60 products of 2**22, 6 bits lost at most
    # in each of 60 additions. At 8 bits all sums are exact.
    exact = {"rtol": 0, "atol": 0}
    near = {"rtol": 1e-5, "atol": 2.0**22 * 60 * 2**-24 * s_e * max(S_A, S_W)}
    slack = exact if grid.bits == 8 else near
    np.testing.assert_array_equal(got[0], np.clip(y, 0, 6 if activation == "relu6" else None))
    np.testing.assert_allclose(got[1], to_input.astype(np.float32) * (s_e * S_W), **slack)
    np.testing.assert_allclose(got[2], to_weight.astype(np.float32) * (S_A * s_e), **slack)
    np.testing.assert_array_equal(got[3], n_e.sum(axis=(0, 1, 2)).astype(np.float32) * s_e)


def test_at_the_ends_of_relu6_no_error_passes():
    one = Quantized(tf.constant([[[[-1.0], [0.0], [1.0], [2.0], [3.0]]]]), tf.constant(1.0))
    w = Quantized(tf.fill([1, 1, 1, 1], 3.0), tf.constant(1.0))
    convolution = Convolution(kind="conv2d", activation="relu6", error=E2)
    with tf.GradientTape() as tape:
        tape.watch(one.integers)
        y = convolution(one, w)
    assert y.numpy().ravel().tolist() == [0, 0, 3, 6, 6]
    gradient = tape.gradient(y, one.integers).numpy().ravel()
    # 127 * 3 * fl(1 / 127): the step is rounded to float32.
    assert gradient.tolist() == [0, 0, np.float32(381) * np.float32(1 / 127), 0, 0]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("error_at", ["convolution", "activation"])
def test_steps_per_channel_quantize_the_input_gradients_error_a_second_time(error_at, mode):
    n_a, n_w, error = operands()
    s_w = np.array([0.0031, 0.9, 0.011, 0.00007], np.float32)
    convolution = Convolution(kind="conv2d", activation="relu", error=E2, error_at=error_at)
    passes = reference.products("conv2d", n_a, n_w, None)[0] > 0
    error.reshape(-1)[np.argmin(passes)] = 20.0

    def encoded(e: np.ndarray):
        e = np.where(passes, e, 0) if error_at == "convolution" else e
        n, s = reference.scale_encoded(e, 8, E2.step, reference.half_away)
        return np.where(passes, n, 0), s

    n_e, s_e = encoded(error)
    n_in, s_in = encoded(error * s_w)
    to_input = reference.products("conv2d", n_a, n_w, n_in)[1]
    to_weight = reference.products("conv2d", n_a, n_w, n_e)[2]
    got = backward(convolution, n_a, n_w, s_w.reshape(1, 1, 1, 4), error, mode)
    np.testing.assert_array_equal(got[1], to_input.astype(np.float32) * s_in)
    np.testing.assert_array_equal(got[2], to_weight.astype(np.float32) * (S_A * s_e))
    np.testing.assert_array_equal(got[3], n_e.sum(axis=(0, 1, 2)).astype(np.float32) * s_e)
    # It is the gradient of the float convolution but for E's rounding: half a step an element,
    # through 9 positions of 4 channels with |n_W| <= 127.
    true = np.where(passes, error, 0).astype(np.float64) * s_w
    exact = np.zeros(n_a.shape)
    for (i, j), tap, (y, x) in reference.taps((5, 6), (3, 3), (1, 1), "SAME", (1, 1)):
        exact[:, y, x] += true[:, i, j] @ n_w[tap].T
    assert np.max(np.abs(got[1] - exact)) <= 9 * 4 * 127 * s_in / 2


FLAG = dataclasses.replace(E2, flag=True)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bits", [None, 8])
def test_an_error_with_a_flag_is_multiplied_in_two_parts_of_8_bits(bits, mode):
    n_a, n_w, error = operands()
    error = error**3  # most are smaller than one step
    s_w = np.array([0.0031, 0.9, 0.011, 0.00007], np.float32)
    # With bits known, own kernels multiply the parts where there are some.
    convolution = Convolution(
        kind="conv2d", activation="relu", error=FLAG, A_bits=bits, W_bits=bits
    )
    passes = reference.products("conv2d", n_a, n_w, None)[0] > 0
    got = backward(convolution, n_a, n_w, s_w.reshape(1, 1, 1, 4), error, mode)
    masked = np.where(passes, error, 0)
    for which, gradient, factor in ((1, got[1], s_w), (2, got[2], 1)):
        n_e, s_e = (one.numpy() for one in FLAG.encode(tf.constant(masked * np.float32(factor))))
        is_large = np.abs(n_e) >= 128
        assert np.mean(is_large) > 0.05 and np.mean(~is_large & (n_e != 0)) > 0.05
        large, small = (
            reference.products("conv2d", n_a, n_w, part)[which].astype(np.float32)
            for part in (np.where(is_large, n_e / 128, 0), np.where(is_large, 0, n_e))
        )
        scale = s_e if which == 1 else S_A * s_e
        expected = large * np.float32(scale * 128) + small * np.float32(scale)
        # XLA joins product and sum: one rounding less, of the larger of the two products.
        slack = np.max(np.abs(expected)) * 2.0**-23 if mode == "xla" else 0
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=slack)


def _shaped(kind: str, seed: int = 0):
    """Integers of an input and a kernel of a kind, and an error of its output."""
    rng = np.random.default_rng(seed)
    kernel, channels = {
        "conv2d": ([3, 3, 3, 4], 4),
        "depthwise": ([3, 3, 3, 2], 6),
        "transposed": ([3, 3, 4, 3], 4),
    }[kind]
    n_a = rng.integers(-127, 128, [2, 5, 6, 3]).astype(np.float32)
    n_w = rng.integers(-127, 128, kernel).astype(np.float32)
    error = rng.standard_normal([2, 5, 6, channels]).astype(np.float32)
    return n_a, n_w, error * 10.0 ** rng.integers(-3, 3, channels).astype(np.float32)


@pytest.mark.parametrize("bits", [None, 8])
@pytest.mark.parametrize("per_channel_w", [False, True])
@pytest.mark.parametrize("kind", ["conv2d", "depthwise", "transposed"])
def test_an_error_with_a_step_a_channel(kind, per_channel_w, bits):
    n_a, n_w, error = _shaped(kind)
    channels = error.shape[-1]
    s_w = np.full([channels], S_W)
    if per_channel_w:
        s_w = np.float32(2.0 ** np.random.default_rng(1).integers(-12, -3, channels))
    grid = dataclasses.replace(E2, per="channel")
    # With bits known, own kernels multiply where there are some.
    convolution = Convolution(kind=kind, error=grid, A_bits=bits, W_bits=bits)
    shape = {"conv2d": [channels], "depthwise": [3, 2], "transposed": [channels, 1]}[kind]
    step = tf.constant(s_w.reshape(shape) if per_channel_w else S_W, tf.float32)
    n_a_, n_w_, bias = (tf.constant(x) for x in (n_a, n_w, np.zeros(channels, np.float32)))
    size = (5, 6) if kind == "transposed" else None
    with tf.GradientTape() as tape:
        tape.watch([n_a_, n_w_, bias])
        pair = Quantized(n_a_, tf.constant(S_A)), Quantized(n_w_, step)
        y = convolution(*pair, bias, size)
    to_input, to_weight, to_bias = tape.gradient(y, [n_a_, n_w_, bias], output_gradients=error)

    n_in, s_in = reference.scale_encoded(error * s_w, 8, E2.step, reference.half_away)
    expected = reference.products(kind, n_a, n_w, n_in, size=size)[1].astype(np.float32) * s_in
    np.testing.assert_array_equal(to_input, expected)
    each = [
        reference.scale_encoded(error[..., c], 8, E2.step, reference.half_away)
        for c in range(channels)
    ]
    n_e, s_e = np.stack([n for n, _ in each], -1), np.array([s for _, s in each])
    sums = reference.products(kind, n_a, n_w, n_e, size=size)[2].astype(np.float32)
    np.testing.assert_array_equal(to_weight, sums * S_A * s_e.reshape(shape))
    np.testing.assert_array_equal(to_bias, n_e.sum((0, 1, 2)).astype(np.float32) * s_e)


def _vectors(error: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The error on grids of its own along the axes, and their steps, which broadcast to it."""
    step = np.max(np.abs(error), axis=axes, keepdims=True) / np.float32(127)
    ratio = error / np.max(np.abs(error), axis=axes, keepdims=True) * np.float32(127)
    return reference.half_away(ratio), step


@pytest.mark.parametrize("bits", [None, 8])
@pytest.mark.parametrize(
    ("kind", "kernel", "stride", "axes"),
    [
        ("conv2d", (1, 1, 4, 3), 1, (3,)),  # a step a position
        ("conv2d", (1, 1, 4, 3), 2, (1, 2, 3)),  # an image
        ("conv2d", (3, 3, 4, 3), 1, (1, 2, 3)),
        ("depthwise", (3, 3, 4, 1), 1, (0, 1, 2)),  # a channel
        ("depthwise", (3, 3, 4, 2), 1, (1, 2, 3)),
        ("transposed", (3, 3, 3, 4), 2, (1, 2, 3)),
    ],
)
def test_each_vector_that_a_product_sums_over_has_a_step(kind, kernel, stride, axes, bits):
    rng = np.random.default_rng(5)
    n_a = rng.integers(-127, 128, [2, 6, 8, 4]).astype(np.float32)
    n_w = rng.integers(-127, 128, kernel).astype(np.float32)
    channels = 8 if kernel[3] == 2 else 4 if kind == "depthwise" else 3
    size = (6 * stride, 8 * stride) if kind == "transposed" else None
    sides = size or (6 // stride, 8 // stride)
    error = rng.standard_normal([2, *sides, channels]).astype(np.float32)
    error *= 10.0 ** rng.integers(-3, 3, [2, *sides, channels])
    s_w = np.float32(2.0 ** rng.integers(-12, -3, channels))
    shape = {"conv2d": [channels], "depthwise": kernel[2:], "transposed": [channels, 1]}[kind]
    grid = dataclasses.replace(E2, per="channel")
    strides = (stride, stride)
    convolution = Convolution(
        kind=kind, strides=strides, error=grid, error_per="vector", A_bits=bits, W_bits=bits
    )
    variables = [tf.constant(x) for x in (n_a, n_w, np.zeros(channels, np.float32))]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        a = Quantized(variables[0], tf.constant(S_A))
        w = Quantized(variables[1], tf.constant(s_w.reshape(shape)))
        y = convolution(a, w, variables[2], size)
    got = tape.gradient(y, variables, output_gradients=tf.constant(error))

    n_e, s_e = _vectors(error, (0, 1, 2))
    s_e = s_e.reshape(-1)
    n_in, s_in = (n_e, s_e * s_w) if axes == (0, 1, 2) else _vectors(error * s_w, axes)
    to_input = reference.products(kind, n_a, n_w, n_in, strides=strides, size=size)[1]
    np.testing.assert_array_equal(got[0], to_input.astype(np.float32) * s_in)
    to_weight = reference.products(kind, n_a, n_w, n_e, strides=strides, size=size)[2]
    expected = to_weight.astype(np.float32) * S_A * s_e.reshape(shape)
    np.testing.assert_array_equal(got[1], expected)
    np.testing.assert_array_equal(got[2], n_e.sum((0, 1, 2)).astype(np.float32) * s_e)


@pytest.mark.parametrize("per_channel", [False, True])
def test_without_an_error_grid_the_gradients_are_those_of_floats(per_channel):
    n_a, n_w, error = operands()
    s_w = np.array([0.0031, 0.9, 0.011, 0.00007], np.float32) if per_channel else S_W
    got = backward(
        Convolution(kind="conv2d", activation="relu"),
        n_a,
        n_w,
        np.reshape(s_w, [1, 1, 1, -1]),
        error,
    )
    a, w = tf.constant(n_a * S_A), tf.constant(n_w * s_w)
    with tf.GradientTape() as tape:
        tape.watch([a, w])
        y = tf.nn.relu(tf.nn.conv2d(a, w, 1, "SAME"))
    expected = tape.gradient(y, [a, w], output_gradients=tf.constant(error))
    # Sums of at most 60 float32 products in two orders.
    np.testing.assert_allclose(got[0], y, rtol=1e-5, atol=1e-5 * np.max(y))
    for gradient, float_gradient in zip(got[1:3], expected, strict=True):
        largest = np.max(np.abs(float_gradient))
        np.testing.assert_allclose(gradient, float_gradient, rtol=1e-5, atol=1e-5 * largest)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bad", [np.nan, -np.inf])
@pytest.mark.parametrize("error_at", ["convolution", "activation"])
@pytest.mark.parametrize("passing", [True, False], ids=["passing", "masked"])
def test_an_error_that_is_not_finite_poisons_all_gradients(passing, error_at, bad, mode):
    n_a, n_w, error = operands()
    passes = reference.products("conv2d", n_a, n_w, None)[0] > 0
    error.reshape(-1)[np.argmax(passes) if passing else np.argmin(passes)] = bad
    convolution = Convolution(kind="conv2d", activation="relu", error=E2, error_at=error_at)
    s_w = np.full([1, 1, 1, 4], S_W)
    for gradient in backward(convolution, n_a, n_w, s_w, error, mode)[1:]:
        assert np.all(np.isnan(gradient))


@pytest.mark.parametrize("dilations", [(1, 1), (2, 2)])
@pytest.mark.parametrize("kind", ["conv2d", "depthwise", "transposed"])
def test_the_kernels_are_named_in_the_graph(kind, dilations):
    size = None
    if kind == "transposed":
        dilations, size = (1, 1), (5, 6)
    convolution = Convolution(kind=kind, error=E2, dilations=dilations, name="stem")

    @tf.function(autograph=False)
    def step(n_a, n_w):
        with tf.GradientTape() as tape:
            tape.watch([n_a, n_w])
            one = tf.constant(1.0)
            y = convolution(Quantized(n_a, one), Quantized(n_w, one), output_size=size)
        return tape.gradient(y, [n_a, n_w])

    graph = step.get_concrete_function(tf.zeros([1, 5, 6, 2]), tf.zeros([3, 3, 2, 2])).graph
    kernels = [o for o in graph.get_operations() if re.match("(Conv2D|DepthwiseConv2d)", o.type)]
    assert len(kernels) == 3
    for kernel in kernels:
        assert any(f"stem/{product}/" in kernel.name for product in PRODUCTS), kernel.name


def test_convolutions_are_values():
    assert Convolution(kind="conv2d", error=Scaled(8)) == Convolution(
        kind="conv2d", error=Scaled(8)
    )
    assert hash(Convolution(kind="conv2d")) != hash(Convolution(kind="depthwise"))


# Bad input.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "conv2d", "dilations": (2, 2), "strides": (2, 2)}, "dilation needs strides"),
        ({"kind": "depthwise", "dilations": (1, 2), "strides": (2, 2)}, "dilation needs strides"),
        ({"kind": "transposed", "dilations": (2, 2)}, "not accepted in a transposed"),
        ({"kind": "depthwise", "strides": (1, 2)}, r"equal strides, got \(1, 2\)"),
    ],
)
def test_geometries_that_tensorflow_computes_wrongly_are_refused(options, message):
    with pytest.raises(ValueError, match=f"block1: .*{message}"):
        Convolution(name="block1", **options)


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "conv3d"},
        {"kind": "conv2d", "activation": "relu7"},
        {"kind": "conv2d", "error_at": "output"},
        {"kind": "conv2d", "padding": "same"},
    ],
    ids=lambda options: " ".join(f"{key}={value}" for key, value in options.items()),
)
def test_unknown_choices_are_refused(options):
    with pytest.raises(ValueError, match="block1"):
        Convolution(name="block1", **options)


def test_a_transposed_convolution_needs_its_output_size():
    n_a, n_w, _ = operands(outputs=3)
    one = tf.constant(1.0)
    convolution = Convolution(kind="transposed", name="up")
    with pytest.raises(ValueError, match=r"up.*output_size"):
        convolution(Quantized(tf.constant(n_a), one), Quantized(tf.constant(n_w), one))
