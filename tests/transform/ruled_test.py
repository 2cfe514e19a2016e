"""A graph under rules: errors of rules, the policy and the constant scale of an edge."""

import pytest
from keras import layers

from tests.transform import networks
from tests.transform.networks import conv, network, ruled
from tfquantseg.policy import FLOAT, INTEGER, PAPER_FCN, Policy, Rules
from tfquantseg.transform import flatten
from tfquantseg.transform.graph import Call, read_graph
from tfquantseg.transform.ruled import RuledGraph


def call_of(graph: RuledGraph, label: str) -> Call:
    (found,) = [call for call in graph.graph.calls if call.label == label]
    return found


def test_an_edge_takes_the_policy_in_front_of_it_or_else_that_behind_it() -> None:
    rules = Rules((("stem.*|block_2.*|logits", FLOAT), ("block_1", PAPER_FCN), (".*", INTEGER)))
    found = ruled(networks.residual, rules)

    def of(label: str) -> str:
        return found.edge_policy(call_of(found, label)).name

    assert of("block_1") == "PAPER_FCN"
    assert of("stem_relu") == "PAPER_FCN"  # block_1 reads it
    assert of("stem") == "PAPER_FCN"  # and so, behind two float layers, this
    assert of("block_2") == "INTEGER"  # block_add
    assert of("logits") == "FLOAT"  # nobody reads it


def test_the_nearest_reader_is_found_through_many_ways() -> None:
    def body(x):
        for i in range(40):  # 2^40 ways lead through these, and each reader is met once
            x = layers.Add(name=f"float_{i}")([layers.ReLU(name=f"float_relu_{i}")(x), x])
        return conv(x, "last")

    found = ruled(body, Rules((("image|float_.*", FLOAT), (".*", INTEGER))))
    assert found.edge_policy(call_of(found, "image")).name == "INTEGER"


def test_averages_keep_the_step_where_every_tensor_has_one() -> None:
    def kept(policy: Policy) -> list[str]:
        found = ruled(networks.resizes, policy)
        return [call.label for call in found.graph.calls if found.keeps_step(call)]

    moves = ["max", "nearest", "pad", "crop", "drop"]
    assert sorted(kept(INTEGER)) == sorted([*moves, "bilinear", "average", "resize"])
    assert sorted(kept(PAPER_FCN)) == sorted(kept(FLOAT)) == sorted(moves)


def test_a_pixel_input_gets_the_device_s_constant_scale() -> None:
    def scale(layer, policy: Policy = INTEGER) -> float | None:
        found = ruled(lambda x: conv(layer(x), "conv"), policy)
        return found.fixed_scale(call_of(found, layer.name))

    assert scale(layers.Rescaling(1 / 128, offset=-1)) == 1.0
    assert scale(layers.Rescaling(1 / 64, offset=-2)) == 2.0
    assert scale(layers.Rescaling(1 / 127.5, offset=-1)) is None
    assert scale(layers.Rescaling(1 / 255)) is None
    # The paper's 8 bits leave out -128, but the input keeps the device's grid.
    assert scale(layers.Rescaling(1 / 128, offset=-1), PAPER_FCN) == 1.0


def test_rules_that_never_act_are_errors() -> None:
    graph = read_graph(flatten(network(networks.residual)))
    with pytest.raises(ValueError, match=r"rule 'bloc_1' -> FLOAT matches no layer \(did you mean"):
        RuledGraph.of(graph, Rules((("bloc_1", FLOAT), (".*", INTEGER))))
    with pytest.raises(ValueError, match=r"rule 'logits' -> FLOAT is never the first match"):
        RuledGraph.of(graph, Rules(((".*", INTEGER), ("logits", FLOAT))))
    with pytest.raises(ValueError, match=r"no rule matches layer"):
        RuledGraph.of(graph, Rules((("logits", FLOAT),)))
