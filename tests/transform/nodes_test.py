"""Nodes: what is fused into a convolution, where its error is quantized, which outputs survive."""

from keras import layers

from tests.transform import networks
from tests.transform.networks import conv, ruled
from tfquantseg.policy import FLOAT, INTEGER, PAPER_FCN, Policy, Rules
from tfquantseg.transform.nodes import Node, nodes_of, survives


def nodes(body, rules: Policy | Rules = INTEGER) -> dict[str, Node]:
    return {node.call.label: node for node in nodes_of(ruled(body, rules)).values()}


def surviving(body) -> list[str]:
    found = ruled(body)
    return [call.label for call in found.graph.calls if survives(found, call)]


def test_convolutions_under_a_policy_that_is_not_float_are_nodes() -> None:
    rules = Rules((("stem.*|logits", FLOAT), (".*", INTEGER)))
    assert list(nodes(networks.residual, rules)) == ["block_1", "block_2"]


def test_what_follows_a_convolution_is_fused_into_it() -> None:
    found = nodes(networks.convolutions)
    fused = {
        label: (node.activation, node.activation_call and node.activation_call.label)
        for label, node in found.items()
    }
    assert fused == {
        "first": ("relu", None),  # its own
        "depthwise": ("relu6", None),
        "separable_depthwise": ("linear", None),
        "separable_pointwise": ("relu", None),
        "dilated": ("relu6", "relu6"),  # a layer's
        "transposed": ("linear", None),
    }
    stem = nodes(networks.residual)["stem"]
    assert stem.batch_norm is not None and stem.batch_norm.label == "stem_bn"
    assert (stem.activation, stem.activation_call) == ("linear", None)  # it is batch norm's


def test_a_shared_convolution_fuses_only_what_follows_it_every_time() -> None:
    assert {node.activation for node in nodes(networks.shared).values()} == {"linear"}
    found = nodes(networks.nested)
    assert found["inner_conv"].activation == found["inner_conv_call2"].activation == "relu"


def test_an_error_is_quantized_where_the_policy_says_so() -> None:
    def body(x):
        return conv(layers.BatchNormalization(name="bn")(conv(x, "normed")), "plain")

    def grids(policy: Policy) -> dict[str, str]:
        return {label: node.error_grid for label, node in nodes(body, policy).items()}

    assert grids(INTEGER) == {"normed": "E2", "plain": "E2"}
    # At x_hat the batch norm has E2 itself; without one, the error is an activation's.
    assert grids(PAPER_FCN) == {"normed": "none", "plain": "E1"}


def test_what_a_device_fuses_does_not_survive() -> None:
    assert surviving(networks.residual) == [
        "image",
        "stem_relu",
        "block_1_relu",
        "block_2_bn",
        "block_relu",
        "logits",
    ]


def test_constants_survive_where_nothing_can_hold_them() -> None:
    def body(x):
        x = layers.Rescaling(2.0, name="in_front")(x)  # of a sum, which holds no factor
        x = layers.Rescaling(3.0, name="behind")(conv(x, "one", 3) + x)
        return layers.Softmax(name="last")(layers.Rescaling(0.5, name="folded")(conv(x, "two")))

    found = surviving(body)
    assert {"in_front", "behind", "folded"} <= set(found)
    # The image is read by constants only; "two" has become its constants; a softmax that ends
    # the model is for people.
    assert not {"image", "two", "last"} & set(found)
