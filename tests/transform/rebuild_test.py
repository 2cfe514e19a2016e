"""The rebuilt model: FLOAT changes nothing, fine grids nearly nothing, integers reach kernels."""

import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests.transform import networks
from tests.transform.networks import FINE, conv, conv_bn_relu, image, inputs_of, network
from tfquantseg.layers import QuantConv2D, QuantConv2DTranspose, QuantDepthwiseConv2D, QuantDropout
from tfquantseg.policy import FLOAT, INTEGER, PAPER_FCN, Policy
from tfquantseg.transform import flatten, plan, quantize

CONVOLUTIONS = QuantConv2D | QuantDepthwiseConv2D | QuantConv2DTranspose
PAPER = dataclasses.replace(
    PAPER_FCN, name="PAPER", W_limit="per_tensor", bias_limit="fit", BN_limit="fit"
)
every_network = pytest.mark.parametrize("body", networks.BODIES, ids=lambda body: body.__name__)


def error(one, other) -> float:
    """The largest difference of two structures of tensors, relative to the largest value."""
    pairs = list(zip(keras.tree.flatten(one), keras.tree.flatten(other), strict=True))
    return max(float(np.abs(a - b).max() / (np.abs(b).max() + 1e-9)) for a, b in pairs)


def gradients(model: keras.Model, x, names: list[str]) -> list[np.ndarray]:
    """Gradients, in evaluation, for the image and the named kernels, of a smooth loss."""
    x = tf.constant(x)
    kernels = [model.get_layer(name).kernel.value for name in names]
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = sum(
            tf.reduce_mean(tf.square(y - tf.sin(y))) + tf.reduce_mean(y * tf.cos(y))
            for y in keras.tree.flatten(model(x))
        )
    return [g.numpy() for g in tape.gradient(loss, [x, *kernels])]


def probe(model: keras.Model, tensors, x):
    """Values of tensors inside a functional model."""
    return keras.Function(model._inputs_struct, tensors)(x)


def operands(model: keras.Model, x) -> dict[str, np.ndarray]:
    """What the convolutions receive: integers of every input and every weight."""
    calls = [
        (layer.name, node.input_tensors[0])
        for layer in model.layers
        if isinstance(layer, CONVOLUTIONS)
        for node in layer._inbound_nodes
    ]
    values = probe(model, [tensor for _, tensor in calls], x)
    found = {
        f"{name}/{i}": np.array(value)
        for i, ((name, _), value) in enumerate(zip(calls, values, strict=True))
    }
    for layer in model.layers:
        if isinstance(layer, CONVOLUTIONS):
            found[f"{layer.name}/W"] = layer.quantized_kernel().integers.numpy()
    return found


@functools.cache
def quantized_of(body, policy: Policy) -> tuple[keras.Model, keras.Model]:
    """A network and what becomes of it; no test changes them."""
    model = network(body)
    return model, quantize(model, policy)


@every_network
def test_float_changes_nothing(body) -> None:
    model, rebuilt = quantized_of(body, FLOAT)
    x = inputs_of(model)
    keras.tree.map_structure(np.testing.assert_array_equal, rebuilt(x), model(x))


@every_network
def test_on_fine_grids_the_function_and_its_gradients_stay(body) -> None:
    model, quantized = quantized_of(body, FINE)
    x = inputs_of(model)
    # 22 bits err by 2**-22 a tensor; float32's sums and up to 10 layers make that some 1e-5.
    assert error(quantized(x), model(x)) < 5e-5
    flat = flatten(model)
    names = [layer.name for layer in quantized.layers if isinstance(layer, CONVOLUTIONS)]
    # Values at a kink of ReLU or a maximum may fall on its other side and move a gradient.
    assert error(gradients(quantized, x, names), gradients(flat, x, names)) < 1e-3


@every_network
@pytest.mark.parametrize("policy", [INTEGER, PAPER], ids=lambda policy: policy.name)
def test_convolutions_receive_8_bit_integers(body, policy) -> None:
    model, quantized = quantized_of(body, policy)
    for name, values in operands(quantized, inputs_of(model)).items():
        np.testing.assert_array_equal(values, np.round(values), err_msg=name)
        assert np.abs(values).max() <= 127, name
        assert np.unique(values).size > 4, name


@pytest.mark.parametrize(
    ("body", "most"),
    [(networks.convolutions, 0.1), (networks.residual, 0.1), (networks.u_net, 0.1)],
    ids=["convolutions", "residual", "u_net"],
)
def test_8_bits_stay_near_the_float_function(body, most) -> None:
    # Half a step of 1/127 a tensor, times the square root of some ten tensors, thrice over.
    model, quantized = quantized_of(body, INTEGER)
    x = inputs_of(model)
    assert 0 < error(quantized(x), model(x)) < most


@every_network
def test_the_model_itself_is_not_touched(body) -> None:
    model = network(body)
    x = inputs_of(model)
    before = [w.numpy() for w in model.weights]
    outputs = keras.tree.map_structure(np.array, model(x))
    quantized = quantize(model, INTEGER)
    for weight in quantized.weights:
        weight.assign(weight + tf.cast(1, weight.dtype))
    for now, then in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(now, then)
    keras.tree.map_structure(np.testing.assert_array_equal, model(x), outputs)
    assert not {id(w) for w in model.weights} & {id(w) for w in quantized.weights}


def test_the_model_and_its_layers_keep_their_names() -> None:
    model, quantized = quantized_of(networks.residual, INTEGER)
    assert quantized.name == model.name
    kept = {layer.name for layer in quantized.layers}
    assert {"stem", "stem_bn", "block_1", "block_add", "logits"} <= kept


def test_tied_tensors_carry_equal_steps() -> None:
    model, quantized = quantized_of(networks.aspp, INTEGER)
    edge = quantized.get_layer(
        next(e.name for e in plan(model, INTEGER).edges if len(e.roots) == 4)
    )
    joined = quantized.get_layer("project").input
    values = probe(quantized, [edge.output, joined], inputs_of(model))
    (*members, step), (integers, joint) = values
    assert step == joint
    assert integers.shape[-1] == sum(member.shape[-1] for member in members[:3]) + 4
    # One of them, and one alone, reaches the end of the step that they share.
    assert max(float(np.abs(member).max()) for member in members) == 127
    assert min(float(np.abs(member).max()) for member in members) < 127


def test_members_of_a_concatenation_keep_their_values() -> None:
    model, quantized = quantized_of(networks.u_net, INTEGER)
    x = inputs_of(model)
    wanted = probe(model, model.get_layer("join_1").output, x)
    integers, step = probe(quantized, quantized.get_layer("left_1").input, x)
    # Half a step of 1/127 in each of the eight 8-bit tensors before it, at most.
    assert error(np.array(integers * step), np.array(wanted)) < 8 * 0.5 / 127


# Batch norm.


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}], ids=str)
def test_batch_norm_is_taken_over(norm, options) -> None:
    def body(x):
        x = conv(x, "conv", 6)
        return layers.BatchNormalization(name="norm", momentum=0.9, epsilon=1e-2, **options)(x)

    model = network(body, "net")
    policy: Policy = dataclasses.replace(FINE, norm=norm)
    quantized = quantize(model, policy)
    # As for every network on fine grids.
    assert error(quantized(inputs_of(model)), model(inputs_of(model))) < 5e-5
    old, new = model.get_layer("norm"), quantized.get_layer("norm")
    ratio = np.sqrt(2 / np.pi) if norm == "l1" and old.scale else 1.0
    deviation = ratio * np.sqrt(old.moving_variance.numpy() + 1e-2)
    # float32's own rounding.
    np.testing.assert_allclose(new.moving_sigma.numpy() + 1e-2, deviation, rtol=1e-6)
    np.testing.assert_array_equal(new.moving_mu.numpy(), old.moving_mean.numpy())
    assert (new.momentum, new.epsilon) == (0.9, 1e-2)
    if old.scale:
        np.testing.assert_allclose(new.gamma.numpy(), ratio * old.gamma.numpy(), rtol=1e-6)


def test_without_a_gamma_training_uses_the_deviation_that_was_taken_over() -> None:
    def body(x):
        return layers.BatchNormalization(scale=False, name="norm")(conv(x, "conv"))

    quantized = quantize(network(body, "net"), INTEGER)
    assert quantized.get_layer("norm").policy.norm == "l2"


def test_8_bit_batch_norm_moves_a_function_by_its_grids_alone() -> None:
    model = network(lambda x: conv_bn_relu(x, "conv", 6), "net")
    grids = dataclasses.replace(INTEGER, k_W=22, k_A=22)
    # gamma and beta: half a step of limits 2 to 4 on 8 bits is up to 0.016; x_hat stays below 5.
    largest = float(np.abs(model(inputs_of(model))).max())
    moved = error(quantize(model, grids)(inputs_of(model)), model(inputs_of(model)))
    assert 0 < moved < 0.016 * 6 / largest


# Weights.


def test_masters_lie_on_their_24_bit_grids() -> None:
    model, quantized = quantized_of(networks.residual, INTEGER)
    for layer in quantized.layers:
        for variable in layer.trainable_variables:
            rule = variable.update_rule
            on_grid = rule.U(variable.value)
            np.testing.assert_array_equal(variable.numpy(), on_grid, err_msg=variable.path)
    kernel, taken = model.get_layer("logits").kernel, quantized.get_layer("logits").kernel
    # Limits below 4: half a step of 2**-21.
    np.testing.assert_allclose(taken.numpy(), kernel.numpy(), atol=2.0**-22)


def test_what_was_frozen_stays_frozen() -> None:
    model = network(networks.residual)
    model.get_layer("block_1").trainable = False
    model.get_layer("block_1_bn").trainable = False
    quantized = quantize(model, INTEGER)
    trained = {variable.path.split("/")[0] for variable in quantized.trainable_variables}
    assert trained == {"stem", "stem_bn", "block_2", "block_2_bn", "logits"}


@pytest.mark.parametrize("policy", [FLOAT, INTEGER], ids=lambda policy: policy.name)
def test_an_adapted_normalization_keeps_its_statistics(policy) -> None:
    norm = layers.Normalization(name="norm")
    norm.adapt(np.random.default_rng(0).normal(5, 3, [8, 4, 4, 3]))
    model = network(lambda x: conv(norm(x), "conv"), "net")
    # INTEGER: two tensors and the weights on 8 bits.
    bound = 0 if policy is FLOAT else 0.03
    assert error(quantize(model, policy)(inputs_of(model)), model(inputs_of(model))) <= bound


# Dropout.


def dropped(rate: float = 0.5, spatial: bool = False) -> keras.Model:
    kind = layers.SpatialDropout2D if spatial else layers.Dropout
    x = image(8)
    ones = layers.Identity(name="kept")(x)
    joined = layers.Concatenate(name="join")([kind(rate, seed=3, name="drop")(x), ones])
    model = keras.Model(x, conv(joined, "conv", 16, 1, use_bias=False))
    model.get_layer("conv").set_weights([np.eye(16)[None, None]])
    return model


@pytest.mark.parametrize("spatial", [False, True])
def test_dropped_members_of_a_concatenation_keep_their_scale(spatial) -> None:
    quantized = quantize(dropped(spatial=spatial), FINE)
    assert isinstance(quantized.get_layer("drop"), QuantDropout)
    x = np.random.default_rng(0).normal(size=[2, 16, 16, 8]).astype(np.float32)
    y = np.array(quantized(x, training=True))
    # 22 bits of a step that covers 2 * max|x|, about 8.
    np.testing.assert_allclose(y[..., 8:], x, atol=1e-5)
    kept = y[..., :8] != 0
    np.testing.assert_allclose(y[..., :8][kept], 2 * x[kept], atol=1e-5)
    # 4,096 draws, or 16 of whole channels, at one half: four standard deviations.
    draws = 16 if spatial else 4096
    assert abs(kept.mean() - 0.5) < 4 * 0.5 / np.sqrt(draws)
    if spatial:
        assert np.isin(kept.mean((1, 2)), (0, 1)).all()
    np.testing.assert_allclose(np.array(quantized(x))[..., :8], x, atol=1e-5)


# Size.


def test_a_chain_longer_than_python_s_stack_is_rebuilt() -> None:
    def body(x):
        x = conv(x, "first", 1)
        for i in range(400):
            x = layers.MaxPooling2D(1, name=f"max_{i}")(x)
        return conv(x, "last", 1)

    model = network(body, "chain")
    x = inputs_of(model, batch=1)
    np.testing.assert_array_equal(quantize(model, FLOAT)(x), model(x))
    # As for every network on fine grids.
    assert error(quantize(model, FINE)(x), model(x)) < 5e-5
