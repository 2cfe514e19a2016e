"""Edges: which tensors carry pairs, where E1 is quantized, and which grids have signs."""

import dataclasses

from keras import layers

from tests.transform import networks
from tests.transform.networks import conv, conv_bn_relu, network
from tfquantseg.layers.objects import objects
from tfquantseg.policy import FLOAT, INTEGER, PAPER_FCN, Policy, Rules
from tfquantseg.transform import plan, quantize
from tfquantseg.transform.edges import Edge

UNSIGNED = INTEGER.changed("A_sign=unsigned_after_relu")


def edges(body, rules: Policy | Rules = INTEGER) -> dict[str, Edge]:
    return {edge.name: edge for edge in plan(network(body, "net"), rules).edges}


def pairs(body, rules: Policy | Rules = INTEGER) -> set[str]:
    planned = plan(network(body, "net"), rules)
    return {call.label for call in planned.graph.calls if planned.carries_pair(call.output)}


def test_pairs_are_what_convolutions_read_and_where_asked_what_survives() -> None:
    read = {"image", "stem_relu", "block_1_relu", "block_relu"}
    assert pairs(networks.residual, PAPER_FCN) == read
    assert pairs(networks.residual, INTEGER) == {*read, "block_2_bn", "logits"}
    assert pairs(networks.residual, FLOAT) == set()


def test_layers_that_keep_the_step_carry_a_pair_on() -> None:
    def body(x):
        x = layers.MaxPooling2D(name="max")(conv(x, "one"))
        return conv(layers.AveragePooling2D(2, name="average")(x), "two")

    # An average has an A of its own by the paper, so that nobody reads the maximum's integers.
    assert pairs(body, PAPER_FCN) == {"image", "average"}
    assert pairs(body, INTEGER) == {"image", "one", "max", "average", "two"}
    assert set(edges(body, PAPER_FCN)) == {"image_A", "average_A"}
    assert set(edges(body, INTEGER)) == {"image_A", "one_A", "two_A"}


def test_an_edge_reads_the_nearest_pairs() -> None:
    planned = plan(network(networks.residual), INTEGER)
    reads = {
        edge.name: {planned.graph.producer(tensor).label for tensor in edge.reads}
        for edge in planned.edges
    }
    assert reads["image_A"] == set()
    assert reads["stem_relu_A"] == {"image"}
    assert reads["block_relu_A"] == {"stem_relu", "block_2_bn"}


def test_each_tied_tensor_keeps_the_bits_of_its_own_error() -> None:
    def body(x):
        members = [conv_bn_relu(x, name) for name in ("one", "two")]
        return conv(layers.Concatenate(name="both")(members), "head")

    rules = Rules((("one.*", INTEGER.changed("k_E1=6")), (".*", INTEGER)))
    (tied,) = (edge for edge in edges(body, rules).values() if len(edge.roots) == 2)
    assert [policy.k_E1 for policy in tied.policies] == [8, 6]  # the newest comes first
    quantized = quantize(network(body, "net"), rules)
    layer = quantized.get_layer(tied.name)
    assert [policy.k_E1 for policy in layer.error_policies] == [8, 6]
    listed = [(name, bits) for at, name, bits, _ in objects(quantized) if at == tied.name]
    assert listed == [("A", 8), ("E1", 8), ("E1", 6)]


def test_no_error_is_quantized_twice() -> None:
    at = {name: edge.quantizes_error for name, edge in edges(networks.residual).items()}
    assert at["block_1_relu_A"] == (True,)  # batch norm is above it
    assert at["block_relu_A"] == (False,)  # above it are edges only
    assert at["logits_A"] == (False,)  # and here a convolution, which quantizes it as E2


def test_an_error_that_a_float_convolution_receives_is_quantized_at_its_edge() -> None:
    rules = Rules((("first", FLOAT), (".*", INTEGER)))
    found = edges(lambda x: conv(conv(x, "first"), "last"), rules)
    assert found["first_A"].quantizes_error == (True,)


def test_what_follows_relu_is_not_negative() -> None:
    def body(x):
        x = layers.ReLU(name="relu")(layers.BatchNormalization(name="bn")(conv(x, "one")))
        pooled = layers.AveragePooling2D(2, name="average")(layers.MaxPooling2D(2)(x))
        x = conv(pooled, "two", activation="relu6")
        x = layers.Add(name="both")([x, pooled])  # of two that are not negative
        mean = layers.GlobalAveragePooling2D(keepdims=True, name="mean")(x)
        x = layers.Add(name="one_of_them")([x, conv(x, "three")])
        return [conv(x, "logits"), conv(mean, "of_mean")]

    found = {name for name, edge in edges(body, UNSIGNED).items() if edge.non_negative}
    assert {"relu_A", "two_A", "both_A", "mean_A"} <= found
    assert not found & {"image_A", "three_A", "one_of_them_A", "logits_A"}


def test_a_grid_is_unsigned_where_the_policy_or_the_device_says_so() -> None:
    def body(x):
        x = layers.ReLU(name="relu")(x)
        return layers.Activation("sigmoid", name="gate")(conv(layers.Add()([x, x]), "one"))

    def unsigned(policy: Policy) -> set[str]:
        found = {name: edge.A() for name, edge in edges(body, policy).items()}
        return {name for name, grid in found.items() if grid is not None and not grid.signed}

    assert unsigned(INTEGER) == {"gate_A"}  # of a fixed scale, which is the device's
    assert {"gate_A", "relu_A"} <= unsigned(UNSIGNED)
    assert unsigned(PAPER_FCN) == set()


def test_edges_of_one_kind_are_tied_root_by_root() -> None:
    found = edges(networks.residual, UNSIGNED)
    relu, norm = found["stem_relu_A"], found["block_2_bn_A"]
    joint = relu.tied_to(norm)
    assert (joint.name, joint.policy) == (relu.name, relu.policy)
    assert joint.roots == relu.roots + norm.roots
    assert joint.reads == relu.reads + norm.reads
    assert joint.quantizes_error == (True, True)
    assert relu.non_negative and not joint.non_negative
    assert relu.is_like(norm)
    for changed in (
        dataclasses.replace(norm, fixed_scale=1.0),
        dataclasses.replace(norm, policies=(PAPER_FCN,)),
        dataclasses.replace(norm, policies=(INTEGER,)),  # signed even after ReLU
    ):
        assert not relu.is_like(changed)
