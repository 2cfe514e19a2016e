"""The rebuilt model: FLOAT changes nothing, fine grids nearly nothing, integers reach kernels."""

import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests.transform import networks
from tests.transform.networks import FINE, conv, error, inputs_of, network
from tfquantseg.layers import QuantConv2D, QuantConv2DTranspose, QuantDepthwiseConv2D
from tfquantseg.policy import FLOAT, INTEGER, PAPER_FCN, Policy
from tfquantseg.transform import flatten, plan, quantize

CONVOLUTIONS = QuantConv2D | QuantDepthwiseConv2D | QuantConv2DTranspose
PAPER = dataclasses.replace(
    PAPER_FCN, name="PAPER", W_limit="per_tensor", bias_limit="fit", BN_limit="fit"
)
every_network = pytest.mark.parametrize("body", networks.BODIES, ids=lambda body: body.__name__)


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


def test_a_shared_norm_quantizes_errors_where_one_call_follows_no_convolution() -> None:
    def body(x, *, alone: bool):
        norm, again = layers.BatchNormalization(name="norm"), layers.Conv2D(3, 3, padding="same")
        x = norm(again(conv(norm(again(x)), "between", 3)))
        return norm(layers.MaxPooling2D(2)(x)) if alone else x

    for alone in (False, True):
        model = quantize(network(functools.partial(body, alone=alone), "net"), INTEGER)
        assert model.get_layer("norm").quantize_error is alone
