"""Reading a flat graph: which operations are known, and what is said about the others."""

import collections

import keras
import pytest
from keras import layers, ops

from tests.transform import networks
from tests.transform.networks import conv, image, network
from tfquantseg.transform import flatten, register
from tfquantseg.transform.graph import Graph, read_graph


def leaky_relu(x):
    """Called as Keras's own, whose slope is another one."""
    return ops.leaky_relu(x, 0.01)


def graph_of(body, **options) -> Graph:
    x = image(**options)
    return read_graph(flatten(keras.Model(x, body(x), name="net")))


def kinds(graph: Graph) -> dict[str, str]:
    return {call.label: call.kind for call in graph.calls}


def test_kinds_of_layers_and_resizes() -> None:
    assert kinds(read_graph(flatten(network(networks.resizes)))) == {
        "image": "input",
        "rescaling": "affine",
        "first": "convolution",
        "max": "select",
        "bilinear": "average",
        "second": "convolution",
        "nearest": "select",
        "average": "average",
        "pad": "select",
        "crop": "select",
        "drop": "select",
        "resize": "average",
        "last": "convolution",
    }


def test_kinds_of_bare_ops() -> None:
    keras.utils.clear_session()  # Keras counts the names of ops on from earlier tests.
    found = set(kinds(read_graph(flatten(network(networks.bare_ops)))).items())
    assert {("relu", "activation"), ("relu6", "activation"), ("pad", "select")} <= found
    assert {("mean", "float"), ("softmax", "float")} <= found
    assert collections.Counter(kind for _, kind in found) == {
        "input": 1,
        "convolution": 4,
        "add": 2,
        "concatenate": 1,
        "activation": 2,
        "select": 1,
        "average": 1,
        "float": 2,
    }


def test_every_call_of_a_shared_layer_has_its_own_label_and_the_same_name() -> None:
    graph = read_graph(flatten(network(networks.shared)))
    calls = [call for call in graph.calls if call.name == "again"]
    assert [call.label for call in calls] == ["again", "again_call2", "again_call3"]
    assert graph.calls_of(calls[0].operation) == calls


def test_who_makes_and_who_reads_a_tensor() -> None:
    graph = read_graph(flatten(network(networks.residual)))
    stem = next(call for call in graph.calls if call.name == "stem_relu")
    assert graph.producer(stem.output) is stem
    assert {reader.name for reader in graph.consumers(stem.output)} == {"block_1", "block_add"}
    assert graph.only_consumer(stem.output) is None
    assert graph.is_output(graph.calls[-1].output)
    assert graph.only_consumer(graph.calls[-1].output) is None


class Wave(layers.Layer):
    """A layer without weights that the plan does not know."""

    def call(self, x):
        return ops.sin(x)


class Mirrored(Wave):
    """Its subclass, which is registered."""


class AveragePool2D(layers.Layer):
    """Called nearly as a layer of Keras is."""

    def call(self, x):
        return ops.sin(x)


class Pair(layers.Layer):
    """Two outputs, one times a weight."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=())

    def call(self, x):
        return x, x * self.scale


REFUSED = {
    "unknown": (lambda x: Wave(name="wave")(x), r"'wave': no plan for .*Wave.* register"),
    "near": (
        lambda x: AveragePool2D(name="a")(x),
        r"no plan for .*AveragePool2D \(did you mean 'AveragePooling2D'\?\)",
    ),
    "with a replacement": (
        lambda x: layers.LayerNormalization(name="n")(x),
        r"'n': no plan for .*LayerNormalization.*; use BatchNormalization, .*; or register another",
    ),
    "op with a replacement": (lambda x: ops.softplus(x), r"'softplus.*': no plan .*; use relu; or"),
    "slopes of positions": (
        lambda x: layers.PReLU(name="p")(x),
        r"'p' \(PReLU\): its slopes differ .*; use PReLU\(shared_axes=\[1, 2\]\)",
    ),
    "unknown op": (lambda x: ops.exp(x), r"'exp.*': no plan for .*\.Exp\b"),
    "several outputs": (
        lambda x: Pair(name="pair")(x)[0],
        r"'pair' \(Pair\) has 2 outputs; .* Make each output by a layer of its own\.$",
    ),
    "a split": (
        lambda x: ops.split(x, 2, axis=-1)[0],
        r"\(Split\) has 2 outputs; .* of its own; use two convolutions with a kernel of 1",
    ),
    "activation of a layer": (
        lambda x: conv(x, "c", activation="selu"),
        r"'c': activation 'selu' is not planned; use one of linear, relu, .*; in place of selu use "
        r"leaky_relu\.",
    ),
    "activation layer": (
        lambda x: layers.Activation("mish", name="m")(x),
        r"'m': activation 'mish' is not planned; .*in place of mish use hard_silu, which an Edge",
    ),
    "leaky and capped": (
        lambda x: layers.ReLU(6.0, negative_slope=0.1, name="r")(x),
        r"'r' \(ReLU\): only ReLU\(\), ReLU\(6\) and ReLU\(negative_slope=a\) are planned",
    ),
    "capped": (lambda x: layers.ReLU(max_value=1, name="r")(x), r"'r' \(ReLU\): only ReLU"),
    "threshold": (lambda x: layers.ReLU(threshold=1, name="r")(x), r"'r' \(ReLU\): only ReLU"),
    "a function of one's own": (  # which computes something else
        lambda x: conv(x, "c", activation=leaky_relu),
        r"'c': activation 'tests\..*\.leaky_relu' is not planned; it is not Keras's 'leaky_relu'",
    ),
    "a layer's function of one's own": (
        lambda x: layers.Activation(leaky_relu, name="a")(x),
        r"'a': activation 'tests\..*\.leaky_relu' is not planned",
    ),
    "gelu by its approximation": (
        lambda x: conv(x, "c", activation=ops.gelu),
        r"'c': activation 'keras\.src\.ops\.nn\.gelu' is not planned; it is not Keras's 'gelu'",
    ),
    "too many dimensions": (
        lambda x: layers.Dense(2, name="d")(layers.Reshape((2, -1, 4, 4))(x)),
        r"'d' \(Dense\): it reads a tensor of shape \(None, 2, 32, 4, 4\); planned are \[N, C\]",
    ),
    "a constant that is none": (
        lambda x: layers.Rescaling(float("nan"), name="r")(x),
        r"'r' \(Rescaling\): its constants hold NaN or infinity",
    ),
    "channels first": (
        lambda x: layers.Conv2D(2, 3, data_format="channels_first", name="c")(x),
        r"'c' \(Conv2D\): data_format is 'channels_first'; use 'channels_last'",
    ),
    "output padding": (
        lambda x: layers.Conv2DTranspose(2, 3, strides=2, output_padding=1, name="c")(x),
        r"'c' \(Conv2DTranspose\): output_padding is set",
    ),
    "batch norm axis": (
        lambda x: layers.BatchNormalization(axis=1, name="b")(x),
        r"'b' \(BatchNormalization\): axis is 1; .* last axis",
    ),
    "interpolation": (  # its overshoot would leave the grid
        lambda x: layers.UpSampling2D(2, interpolation="bicubic", name="u")(x),
        r"'u' \(UpSampling2D\): interpolation is 'bicubic'; use 'nearest' or 'bilinear'",
    ),
    "interpolation of an op": (
        lambda x: ops.image.resize(x, (9, 9), interpolation="lanczos3"),
        r"\(Resize\): interpolation is 'lanczos3'",
    ),
    "padding with a value": (
        lambda x: ops.pad(x, 1, constant_values=5.0),
        r"\(Pad\): it pads with a value that is not 0",
    ),
    "resizing that pads": (
        lambda x: layers.Resizing(9, 12, pad_to_aspect_ratio=True, fill_value=3.0, name="r")(x),
        r"'r' \(Resizing\): it pads with a value that is not 0",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_planned_is_named(case) -> None:
    body, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        graph_of(body, channels=4)


def test_a_registered_layer_is_known_and_a_subclass_of_a_known_one_is_not() -> None:
    register(Mirrored, "float")
    assert kinds(graph_of(lambda x: Mirrored(name="m")(x)))["m"] == "float"
    with pytest.raises(ValueError, match="no plan for"):
        graph_of(lambda x: Wave()(x))


def test_only_three_kinds_can_be_registered() -> None:
    with pytest.raises(ValueError, match="must be select, average or float, received 'conv'"):
        register(Wave, "conv")  # type: ignore[arg-type]


@pytest.mark.parametrize("what", ["Wave", None, layers.ReLU(), dict, lambda x: x])
def test_only_classes_of_layers_and_ops_can_be_registered(what) -> None:
    with pytest.raises(ValueError, match=r"takes a class of layers, .*type\(layer\)"):
        register(what, "float")


def test_what_has_a_plan_is_not_registered() -> None:
    with pytest.raises(ValueError, match=r"Conv2D has a plan already.* the policy FLOAT"):
        register(layers.Conv2D, "float")


def test_integers_of_two_steps_are_not_moved_as_one() -> None:
    class Larger(layers.Layer):
        def call(self, x, y):
            return ops.maximum(x, y)

    register(Larger, "select")
    with pytest.raises(ValueError, match=r"'l' \(Larger\) is registered as 'select'.*as 'float'"):
        graph_of(lambda x: Larger(name="l")(x, layers.Rescaling(2.0)(x)))
    register(Larger, "float")
    assert kinds(graph_of(lambda x: Larger(name="l")(x, layers.Rescaling(2.0)(x))))["l"] == "float"
