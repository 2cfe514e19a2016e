"""However a model writes an activation or a constant, the flat graph has it in one form."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from tests.transform.networks import conv, error, inputs_of, network
from tfquantseg.layers import Affine
from tfquantseg.policy import FLOAT, INTEGER
from tfquantseg.transform import flatten, plan, quantize


def _flat(body) -> keras.Model:
    return flatten(network(body, "written", channels=4))


def _kinds(model: keras.Model) -> list[str]:
    names = []
    for layer in model.layers[1:]:
        function = getattr(getattr(layer, "activation", None), "__name__", "")
        names.append(function if type(layer) is layers.Activation else type(layer).__name__)
    return names


class HardSwish(layers.Layer):
    """As MobileNetV3 is often written."""

    def call(self, x):
        return x * keras.activations.relu(x + 3.0, max_value=6.0) / 6.0


WRITTEN = {
    "silu layer": (lambda x: layers.Activation("silu")(x), ["sigmoid", "Multiply"]),
    "swish layer": (lambda x: layers.Activation("swish")(x), ["sigmoid", "Multiply"]),
    "silu op": (lambda x: ops.silu(x), ["sigmoid", "Multiply"]),
    "hard_swish": (lambda x: layers.Activation("hard_swish")(x), ["hard_sigmoid", "Multiply"]),
    "hard_silu op": (lambda x: ops.hard_silu(x), ["hard_sigmoid", "Multiply"]),
    "of a convolution": (
        lambda x: conv(x, "c", activation="swish"),
        ["Conv2D", "sigmoid", "Multiply"],
    ),
    "of a separable one": (
        lambda x: layers.SeparableConv2D(2, 3, activation="tanh")(x),
        ["DepthwiseConv2D", "Conv2D", "tanh"],
    ),
    "sigmoid op": (lambda x: ops.sigmoid(x), ["sigmoid"]),
    "hard_sigmoid op": (lambda x: ops.hard_sigmoid(x), ["hard_sigmoid"]),
    "tanh op": (lambda x: ops.tanh(x), ["tanh"]),
    "gelu op": (lambda x: ops.gelu(x, approximate=False), ["gelu"]),
    "leaky op": (lambda x: ops.leaky_relu(x, 0.3), ["LeakyReLU"]),
    "leaky argument": (lambda x: layers.Activation("leaky_relu")(x), ["LeakyReLU"]),
    "leaky as ReLU": (lambda x: layers.ReLU(negative_slope=0.1)(x), ["LeakyReLU"]),
    "relu as a function": (lambda x: keras.activations.relu(x), ["ReLU"]),
    "relu6 as a function": (lambda x: keras.activations.relu(x, max_value=6.0), ["ReLU"]),
    "leaky as a function": (lambda x: keras.activations.relu(x, 0.1), ["LeakyReLU"]),
    "swish of TensorFlow": (
        lambda x: conv(x, "c", activation=tf.nn.swish),
        ["Conv2D", "sigmoid", "Multiply"],
    ),
    "a layer of one's own": (lambda x: HardSwish()(x), ["Affine", "ReLU", "Affine"]),
    "a layer as an activation": (
        lambda x: conv(x, "c", activation=layers.LeakyReLU(negative_slope=0.3)),
        ["Conv2D", "LeakyReLU"],
    ),
    "one with weights": (
        lambda x: conv(x, "c", activation=layers.PReLU(shared_axes=[1, 2])),
        ["Conv2D", "PReLU"],
    ),
    "a leaky layer's layer": (
        lambda x: layers.Activation(layers.ReLU(negative_slope=0.3))(x),
        ["LeakyReLU"],
    ),
    "of a Lambda": (lambda x: layers.Lambda(lambda y: ops.relu(y) / 2)(x), ["Affine"]),
    "twice": (lambda x: x * 2.0, ["Affine"]),
    "from 1": (lambda x: 1.0 - x, ["Affine"]),
    "less channels": (lambda x: x - np.float32([1, 2, 3, 4]), ["Affine"]),
    "by channels": (lambda x: x / np.float32([1, 2, 3, 4]).reshape(1, 1, 4), ["Affine"]),
    "named operands": (lambda x: ops.add(x1=3.0, x2=x), ["Affine"]),
    "negative": (lambda x: -x, ["Affine"]),
    "untrained variable": (
        lambda x: x * keras.Variable([1.0, 2.0, 3.0, 4.0], trainable=False),
        ["Affine"],
    ),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_one_form(case: str) -> None:
    body, kinds = WRITTEN[case]
    model = network(body, "written", channels=4)
    flat = flatten(model)
    assert _kinds(flat) == kinds
    x = inputs_of(model)
    assert error(flat(x), model(x)) < 1e-6  # float32's last bits


def test_a_shared_activation_is_called_twice() -> None:
    def body(x):
        swish = layers.Activation("swish", name="swish")
        return swish(conv(swish(x), "c"))

    model = network(body)
    flat = flatten(model)
    assert sum(type(layer) is layers.Multiply for layer in flat.layers) == 1
    x = inputs_of(model)
    assert error(flat(x), model(x)) < 1e-6  # float32's last bits
    assert error(quantize(model, FLOAT)(x), model(x)) < 1e-6


REFUSED = {
    "of positions": (
        lambda x: x * np.ones((16, 16, 4), np.float32),
        r"combines a tensor of 4 channels with constants of shape \(16, 16, 4\); accepted are one",
    ),
    "trained": (
        lambda x: x * keras.Variable(np.ones(4, np.float32), name="scale"),
        r"with the variable 'scale', which is trained and would become a constant; use a Batch",
    ),
    "divided by": (
        lambda x: 1.0 / x,
        r"divides by a tensor, .*; divide by a constant, or multiply",
    ),
    "approximated": (lambda x: ops.gelu(x), r"use keras\.ops\.gelu\(x, approximate=False\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_form_is_named(case: str) -> None:
    body, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        _flat(body)


def _edges(body) -> dict[str, tuple[float | None, bool]]:
    """By the first tensor's name, the fixed scale and whether it is unsigned, of each edge."""
    found = plan(network(body, channels=4), INTEGER)
    return {
        found.graph.producer(edge.roots[0].tensor).label: (
            edge.fixed_scale,
            not edge.A().signed,
        )
        for edge in found.edges
    }


def gates(x):
    x = conv(x, "one", activation="tanh")
    y = layers.Activation("hard_sigmoid", name="gate")(conv(x, "two"))
    z = layers.Activation("sigmoid", name="other")(layers.Activation("relu", name="relu")(x))
    return layers.Softmax(name="last")(conv(layers.Multiply(name="product")([y, z]), "three"))


def test_functions_have_the_grids_of_devices() -> None:
    assert _edges(gates) == {
        "image": (None, False),
        "one": (None, False),
        "one_tanh": (1.0, False),
        "gate": (1.0, True),  # fused into the convolution "two", which has no edge of its own
        "relu": (None, False),
        "other": (1.0, True),
        "product": (None, False),
        "three": (None, False),  # the softmax behind it is for people, not for a device
    }


def test_gates_tie_to_each_other_and_to_nothing_else() -> None:
    def body(x):
        one = layers.Activation("sigmoid", name="one")(x)
        two = layers.Activation("sigmoid", name="two")(conv(x, "c"))
        tanh = layers.Activation("tanh", name="tanh")(x)
        return layers.Concatenate(name="join")([layers.Concatenate(name="gates")([one, two]), tanh])

    found = plan(network(body), INTEGER)
    names = {
        edge.name: {found.graph.producer(root.tensor).label for root in edge.roots}
        for edge in found.edges
    }
    assert names["tanh_A"] == {"tanh"} and {"one", "two"} <= set.union(*names.values())
    (tied,) = [edge for edge in found.edges if len(edge.roots) == 2 and edge.fixed_scale]
    assert not tied.A().signed


def test_an_unsigned_policy_sees_what_gates_and_constants_keep() -> None:
    def body(x):
        x = conv(x, "c", activation="relu")
        y = layers.Activation("sigmoid", name="gate")(conv(x, "d"))
        x = layers.Multiply(name="product")([x, y])
        x = layers.Rescaling(2.0, offset=0.5, name="more")(x)
        return layers.Rescaling(-1.0, name="turned")(conv(x, "e", activation="relu"))

    found = plan(network(body, channels=4), INTEGER.changed("A_sign=unsigned_after_relu"))
    unsigned = {edge.name: not edge.A().signed for edge in found.edges}
    assert unsigned == {
        "image_A": False,
        "c_A": True,
        "d_A": False,
        "gate_A": True,
        "product_A": True,
        "more_A": True,
        "e_A": True,
        "turned_A": False,
    }


def test_constants_are_fused_as_batch_norm_is() -> None:
    def body(x):
        x = layers.BatchNormalization(name="bn")(conv(x, "one")) * 2.0
        x = layers.ReLU(name="relu")(layers.Rescaling(1.0, offset=1.0, name="plus")(x))
        y = conv(x, "two")
        return layers.Add(name="add")([y, layers.Rescaling(0.5, name="half")(y)])

    names = [edge.name for edge in plan(network(body), INTEGER).edges]
    assert names == ["image_A", "relu_A", "two_A", "half_A", "add_A"]


def test_layers_are_affine_and_known() -> None:
    flat = _flat(lambda x: layers.Rescaling(2.0)(x) + 1.0)
    assert [type(layer) for layer in flat.layers[1:]] == [layers.Rescaling, Affine]
