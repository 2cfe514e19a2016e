"""The convolution layers against int64 NumPy loops over the integers that they own and receive."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.numerics import reference
from tfquantseg.layers import (
    QuantConv2D,
    QuantConv2DTranspose,
    QuantDense,
    QuantDepthwiseConv2D,
    QuantEdge,
)
from tfquantseg.policy import FLOAT, INTEGER, PAPER_FCN, Policy

STEP = np.float32(0.043)  # of the input: no power of two
# Layer, kind, kernel (of 3 input channels), and how many limits it has a channel.
KINDS = {
    "conv2d": (QuantConv2D, (3, 2, 3, 4), 4),
    "depthwise": (QuantDepthwiseConv2D, (3, 2, 3, 2), 6),
    "transposed": (QuantConv2DTranspose, (3, 2, 4, 3), 4),
}
GEOMETRIES = [
    ("conv2d", (1, 1), "same", (1, 1), None),
    ("conv2d", (2, 1), "valid", (1, 1), None),
    ("conv2d", (1, 1), "same", (2, 2), None),
    ("depthwise", (2, 2), "same", (1, 1), None),
    ("depthwise", (1, 1), "valid", (1, 2), None),
    ("transposed", (2, 2), "same", (1, 1), (10, 12)),
    ("transposed", (2, 2), "valid", (1, 1), (11, 12)),
    ("transposed", (1, 3), "valid", (1, 1), (7, 18)),
]


def integers(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, [2, 5, 6, 3]).astype(np.float32)


def pair(n_a: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.constant(n_a), tf.constant(STEP)


def layer_of(kind: str, policy: Policy = INTEGER, **arguments):
    """Returns a built layer with random weights, and limits a channel where the policy has such."""
    layer_type, kernel_shape, channels = KINDS[kind]
    limit: float | tuple[float, ...] = 1.0
    if policy.W_limit == "per_channel":
        limit = tuple(2.0 ** (i % 3 - 2) for i in range(channels))
    arguments = {"W_limit": limit, "name": "conv", **arguments}
    layer = layer_type(policy, kernel_shape=kernel_shape, **arguments)
    layer.build([(None, None, None, 3), ()])
    rng = np.random.default_rng(1)
    layer.kernel.assign(rng.uniform(-1, 1, kernel_shape) * kernel_limits(layer))
    if layer.bias is not None:
        layer.bias.assign(rng.uniform(-1, 1, layer.bias.shape))
    return layer


def kernel_limits(layer) -> np.ndarray:
    """Returns the limits as an array that broadcasts against the kernel."""
    if isinstance(layer.W_limit, float):
        return np.float32(layer.W_limit)
    shape = [1, 1, 1, 1]
    axes = layer.channel_axis if isinstance(layer.channel_axis, tuple) else (layer.channel_axis,)
    for axis in axes:
        shape[axis] = layer.kernel_shape[axis]
    return np.reshape(np.float32(layer.W_limit), shape)


def kernel_integers(layer) -> tuple[np.ndarray, np.ndarray]:
    """Returns W_q (Eq 8) as NumPy integers, and one step or one a channel of the output."""
    step = kernel_limits(layer) * 2.0**-7
    rounding = {"half_up": reference.half_up, "half_away": reference.half_away}
    n_w = np.clip(rounding[layer.policy.rounding](layer.kernel.numpy() / step), -127, 127)
    return n_w, np.float32(step).reshape(-1)


def backward(layer, n_a: np.ndarray, error: np.ndarray):
    """Returns gradients of the integers (by the convention of pairs), the kernel and the bias."""
    n_a, step = pair(n_a)
    with tf.GradientTape() as tape:
        tape.watch(n_a)
        y = layer((n_a, step), training=True)
    sources = [n_a, layer.kernel.value, layer.bias.value]
    return [g.numpy() for g in tape.gradient(y, sources, tf.constant(error))]


@pytest.mark.parametrize("policy", [INTEGER, PAPER_FCN], ids=lambda policy: policy.name)
@pytest.mark.parametrize(("kind", "strides", "padding", "dilations", "size"), GEOMETRIES)
def test_the_output_is_that_of_the_integers(kind, strides, padding, dilations, size, policy):
    layer = layer_of(kind, policy, strides=strides, padding=padding, dilation_rate=dilations)
    n_a, (n_w, step) = integers(), kernel_integers(layer)
    geometry = {"strides": strides, "padding": padding.upper(), "dilations": dilations}
    sums = reference.products(kind, n_a, n_w, None, **geometry, size=size)[0]
    got = layer(pair(n_a)).numpy()
    assert layer.filters == got.shape[-1]
    # Sums are exact: 18 products of 7 bits each. Then the same three float32 operations.
    expected = sums.astype(np.float32) * (STEP * step) + layer.bias.numpy()
    np.testing.assert_array_equal(got, expected)
    keras_output = layer.compute_output_spec(
        (keras.KerasTensor((2, 5, 6, 3)), keras.KerasTensor(()))
    )
    assert keras_output.shape == got.shape


@pytest.mark.parametrize("kind", KINDS)
def test_any_size_of_image(kind):
    layer = layer_of(kind, strides=(2, 2), padding="same")
    traced = tf.function(lambda n: layer((n, tf.constant(STEP))))
    n_a = tf.constant(integers())
    dynamic = traced.get_concrete_function(tf.TensorSpec([None, None, None, 3]))
    np.testing.assert_array_equal(dynamic(n_a), layer((n_a, tf.constant(STEP))))


@pytest.mark.parametrize("activation", ["relu", "relu6"])
def test_the_activation_follows_the_bias(activation):
    n_a = integers()
    y = layer_of("conv2d")(pair(n_a)).numpy()
    assert y.min() < 0 and y.max() > 6
    got = layer_of("conv2d", activation=activation)(pair(n_a))
    np.testing.assert_array_equal(got, np.clip(y, 0, 6 if activation == "relu6" else None))


def test_without_a_bias():
    layer = layer_of("conv2d", use_bias=False)
    n_w, step = kernel_integers(layer)
    sums = reference.products("conv2d", integers(), n_w, None, padding="VALID")[0]
    np.testing.assert_array_equal(layer(pair(integers())), sums.astype(np.float32) * (STEP * step))
    assert [v.name for v in layer.weights] == ["kernel"]


@pytest.mark.parametrize("policy", [INTEGER, PAPER_FCN], ids=lambda policy: policy.name)
@pytest.mark.parametrize("kind", KINDS)
def test_the_kernels_integers_are_within_127_steps(kind, policy):
    layer = layer_of(kind, policy)
    # Masters reach their limit, and a file could hold more.
    layer.kernel.assign(layer.kernel.numpy() * 3)
    n_w, step = layer.quantized_kernel()
    expected, _ = kernel_integers(layer)
    np.testing.assert_array_equal(n_w, expected)
    assert (np.max(n_w), np.min(n_w)) == (127, -127)
    np.testing.assert_array_equal(
        np.broadcast_to(step, []) if np.ndim(step) == 0 else step, kernel_limits(layer) / 128
    )


# Errors.


@pytest.mark.parametrize("kind", KINDS)
def test_the_error_comes_back_as_integers(kind):
    layer = layer_of(kind, PAPER_FCN, padding="same", error_grid="E2")
    n_a, (n_w, s_w) = integers(), kernel_integers(layer)
    error = np.random.default_rng(2).normal(size=layer(pair(n_a)).shape).astype(np.float32)
    n_e, s_e = reference.scale_encoded(error, 8, "max/128")
    size = (5, 6) if kind == "transposed" else None
    _, to_input, to_weight = reference.products(kind, n_a, n_w, n_e, size=size)
    got = backward(layer, n_a, error)
    # The policy's gradients are quantized in the optimizer; here they are exact sums, rescaled.
    np.testing.assert_array_equal(got[0], to_input.astype(np.float32) * (s_e * s_w))
    np.testing.assert_array_equal(got[1], to_weight.astype(np.float32) * (STEP * s_e))
    np.testing.assert_array_equal(got[2], n_e.sum((0, 1, 2)).astype(np.float32) * s_e)


@pytest.mark.parametrize(("error_grid", "bits"), [("E1", 5), ("E2", 6), ("none", None)])
def test_which_grid_the_error_takes(error_grid, bits):
    policy = dataclasses.replace(PAPER_FCN, k_E1=5, k_E2=6)
    layer = layer_of("conv2d", policy, activation="relu", error_grid=error_grid)
    n_a = integers()
    y = layer(pair(n_a)).numpy()
    error = np.random.default_rng(2).normal(size=y.shape).astype(np.float32)
    error.reshape(-1)[np.argmin(y)] = 9.0  # the largest does not pass the ReLU
    if error_grid == "E1":  # at the activation, before its derivative
        n_e, s_e = reference.scale_encoded(error, bits, "max/128")
        e = np.where(y > 0, n_e * s_e, 0)
    elif error_grid == "E2":  # at the convolution's output, behind it
        n_e, s_e = reference.scale_encoded(np.where(y > 0, error, 0), bits, "max/128")
        e = n_e * s_e
    else:
        e = np.where(y > 0, error, 0)
    # A bias' gradient is the sum of the error itself; 80 float32 additions.
    to_bias = backward(layer, n_a, error)[2]
    np.testing.assert_allclose(to_bias, e.sum((0, 1, 2)), rtol=0, atol=80 * 9 * 2.0**-24 * 8)


def test_the_error_passes_straight_through_the_kernels_grid():
    layer = layer_of("conv2d", dataclasses.replace(FLOAT, k_W=2), W_limit=1.0)
    n_a = np.zeros([1, 3, 2, 3], np.float32)
    n_a[0, 0, 0, 0] = 2.0
    to_weight = backward(layer, n_a, np.ones([1, 1, 1, 4], np.float32))[1]
    expected = np.zeros([3, 2, 3, 4], np.float32)
    expected[0, 0, 0] = 2 * STEP
    np.testing.assert_array_equal(to_weight, expected)


# Gradients quantized in the tape.

IN_TAPE = dataclasses.replace(INTEGER, name="IN_TAPE", G_at="tape")


def tape_gradients(layer) -> list[np.ndarray]:
    error = np.random.default_rng(3).normal(size=[2, 3, 5, 4]).astype(np.float32)
    return backward(layer, integers(), error)[1:]


def test_a_gradient_in_the_tape_is_on_its_grid_with_another_draw_each_step():
    nearest = dataclasses.replace(IN_TAPE, E_rounding="nearest")
    layer = layer_of("conv2d", nearest)
    exact = tape_gradients(layer_of("conv2d", dataclasses.replace(nearest, G_at="optimizer")))
    first, second = tape_gradients(layer), tape_gradients(layer)
    for one, two, true in zip(first, second, exact, strict=True):
        step = np.max(np.abs(true)) / 127
        for drawn in (one, two):
            # Float32: a multiple of the step up to 127, rounded.
            np.testing.assert_allclose(drawn / step, np.round(drawn / step), rtol=0, atol=1e-4)
            assert np.all(np.abs(drawn - true) < step * (1 + 1e-5))
        assert (one != two).any()
    assert not np.array_equal(exact[0], first[0])


def test_each_layer_draws_otherwise():
    first, other = layer_of("conv2d", IN_TAPE), layer_of("conv2d", IN_TAPE, name="other")
    assert (tape_gradients(first)[0] != tape_gradients(other)[0]).any()


def test_inference_draws_nothing():
    layer = layer_of("conv2d", IN_TAPE)
    layer(pair(integers()), training=False)
    assert layer.draws.numpy() == 0


def network(policy: Policy) -> keras.Model:
    """Returns a model of an edge and all three kinds of convolution."""
    inputs = keras.Input([5, 6, 3])
    pairs = QuantEdge(policy, name="edge")(inputs)
    outputs = [layer_of(kind, policy, name=f"layer_{kind}")(pairs) for kind in KINDS]
    return keras.Model(inputs, outputs)


def test_after_a_resume_the_draws_go_on(tmp_path):
    x = tf.constant(integers() / 128)

    def step(model: keras.Model) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = sum(tf.reduce_sum(tf.square(y)) for y in model(x, training=True))
        return tape.gradient(loss, [v.value for v in model.trainable_variables])

    model = network(IN_TAPE)
    step(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for one, other in zip(step(model), step(loaded), strict=True):
        np.testing.assert_array_equal(one, other)


# Files, and what is refused.


@pytest.mark.parametrize("policy", [INTEGER, PAPER_FCN], ids=lambda policy: policy.name)
def test_a_loaded_model_computes_the_same(policy, tmp_path):
    model, x = network(policy), tf.constant(integers() / 128)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for one, other in zip(model(x), loaded(x), strict=True):
        np.testing.assert_array_equal(one, other)
    for kind, (layer_type, *_) in KINDS.items():
        layer, again = (m.get_layer(f"layer_{kind}") for m in (model, loaded))
        assert type(again) is layer_type
        assert again.get_config() == layer.get_config()
        assert again.convolution == layer.convolution
        assert again.kernel.update_rule == layer.kernel.update_rule
        assert again.bias.update_rule == layer.bias.update_rule


@pytest.mark.parametrize("kind", KINDS)
def test_the_optimizer_is_told_limits_and_decay(kind):
    layer = layer_of(kind, bias_limit=4.0)
    axis = {"conv2d": 3, "depthwise": (2, 3), "transposed": 2}[kind]
    assert layer.kernel.update_rule == INTEGER.update_rule(layer.W_limit, axis, decays=True)
    assert layer.bias.update_rule == INTEGER.update_rule(4.0, -1, decays=False)


@pytest.mark.parametrize("kind", KINDS)
def test_another_number_of_channels_is_an_error(kind):
    layer_type, kernel_shape, _ = KINDS[kind]
    layer = layer_type(INTEGER, kernel_shape=kernel_shape, name="conv")
    with pytest.raises(ValueError, match=r"conv: a kernel \(3, 2, .* takes 3 channels, received 5"):
        layer((tf.zeros([1, 5, 6, 5]), tf.constant(1.0)))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"activation": "tanh"}, "activation.*linear.*relu.*relu6.*'tanh'"),
        ({"error_grid": "E3"}, "error_grid.*E1.*E2.*none.*'E3'"),
        ({"padding": "full"}, "padding.*'full'"),
        ({"W_limit": 3.0}, "power of two.*3.0"),
        ({"strides": (2, 2), "dilation_rate": (2, 2)}, r"conv: dilations \(2, 2\)"),
    ],
    ids=str,
)
def test_arguments_that_are_refused(arguments, expected):
    with pytest.raises(ValueError, match=expected):
        layer_of("conv2d", **arguments)


def test_a_convolution_in_groups_is_one_of_each_group() -> None:
    rng = np.random.default_rng(0)
    n_a = rng.integers(-128, 128, [2, 5, 6, 4]).astype(np.float32)
    options = {"W_limit": 1.0, "name": "grouped"}
    layer = QuantConv2D(INTEGER, kernel_shape=(3, 3, 2, 6), groups=2, **options)
    got = layer(pair(n_a))
    n_w, step = kernel_integers(layer)
    sums = [
        reference.products("conv2d", a, w, None, padding="VALID")[0]
        for a, w in zip(np.split(n_a, 2, -1), np.split(n_w, 2, -1), strict=True)
    ]
    # Sums are exact: 18 products of 7 bits each. Then the same two float32 operations.
    expected = np.concatenate(sums, -1).astype(np.float32) * (STEP * step)
    np.testing.assert_array_equal(got, expected)
    again = QuantConv2D.from_config(layer.get_config())
    assert again.groups == 2 and again.convolution == layer.convolution
    assert "groups" not in layer_of("conv2d").get_config()


@pytest.mark.parametrize(
    ("groups", "filters", "message"),
    [(2, 4, r"in 2 groups takes 6 channels, received 3"), (3, 4, "4 filters do not fall into 3")],
)
def test_groups_that_do_not_divide_channels_are_refused(groups, filters, message) -> None:
    kernel = (1, 1, 3 // groups if groups == 3 else 3, filters)
    layer = QuantConv2D(INTEGER, kernel_shape=kernel, groups=groups, name="conv")
    with pytest.raises(ValueError, match=message):
        layer.build([(None, None, None, 3), ()])


@pytest.mark.parametrize("shape", [(2, 3), (2, 5, 3), (2, 4, 5, 3)])
def test_a_dense_layer_multiplies_along_the_last_axis(shape) -> None:
    n_a = np.random.default_rng(0).integers(-128, 128, shape).astype(np.float32)
    layer = QuantDense(INTEGER, kernel_shape=(1, 1, 3, 4), W_limit=1.0, name="dense")
    got = layer(pair(n_a))
    n_w, step = kernel_integers(layer)
    # Sums of three products are exact. Then the same two float32 operations.
    expected = (n_a @ n_w[0, 0]).astype(np.float32) * (STEP * step)
    np.testing.assert_array_equal(got, expected.reshape(*shape[:-1], 4))
    spec = layer.compute_output_spec((keras.KerasTensor((None, *shape[1:])), keras.KerasTensor(())))
    assert spec.shape == (None, *shape[1:-1], 4)


def test_a_dense_layers_error_comes_back_as_integers() -> None:
    n_a = np.random.default_rng(0).integers(-128, 128, (6, 3)).astype(np.float32)
    layer = QuantDense(PAPER_FCN, kernel_shape=(1, 1, 3, 4), W_limit=1.0, name="dense")
    error = np.random.default_rng(2).normal(size=layer(pair(n_a)).shape).astype(np.float32)
    n_e, s_e = reference.scale_encoded(error, 8, "max/128")
    n_w, s_w = kernel_integers(layer)
    got = backward(layer, n_a, error)
    # Sums of at most six products are exact, rescaled once.
    np.testing.assert_array_equal(got[0], (n_e @ n_w[0, 0].T).astype(np.float32) * (s_e * s_w))
    to_weight = (n_a.T @ n_e).astype(np.float32) * (STEP * s_e)
    np.testing.assert_array_equal(got[1][0, 0], to_weight)
