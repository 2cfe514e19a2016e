"""Structures of real models, all the way from float layers to a file with its certificate."""

import numpy as np
import pytest

from tests.export import structures
from tests.export.whole_way import certified, convolutions
from tfquantseg.export import (
    FileProgram,
    graph_of,
    preflight,
)
from tfquantseg.export.graph_file import model_of
from tfquantseg.export.network import Requantize

UNSIGNED = "INTEGER A_sign=unsigned_after_relu"


@pytest.mark.parametrize(
    "body",
    [
        structures.shared,
        structures.siamese,
        structures.norms_everywhere,
        structures.joins,
        structures.joined_rows,
        structures.resizes,
        structures.program,
        structures.spatial_gates,
    ],
    ids=lambda body: body.__name__,
)
def test_a_structure_goes_all_the_way(body) -> None:
    certified(structures.network(body))


@pytest.mark.parametrize(
    "body",
    [structures.dense, structures.norms_everywhere, structures.joins],
    ids=lambda body: body.__name__,
)
def test_with_unsigned_grids_too(body) -> None:
    certified(structures.network(body), policy=UNSIGNED)


@pytest.mark.parametrize("seed", range(4))
def test_random_graphs_go_all_the_way(seed: int) -> None:
    certified(structures.random_graph(seed), policy=UNSIGNED if seed % 2 else "INTEGER")


# What the files hold.


def _operators(content: bytes) -> dict[str, tuple[str, int]]:
    """Operator and version by the name of what it makes."""
    operators = graph_of(content, name="file").operators
    return {one.outputs[0].name: (one.op, one.version) for one in operators}


def test_groups_are_version_6_which_the_preflight_leaves_to_the_cpu() -> None:
    found = certified(structures.network(structures.groups))
    made = _operators(found.content)
    assert made["four"] == made["two"] == ("CONV_2D", 6)
    assert made["each"] == ("DEPTHWISE_CONV_2D", 3)
    assert made["separable_pointwise"] == ("CONV_2D", 3)
    (four,) = [one for one in found.network.convolutions if one.layer == "four"]
    assert (four.groups, four.weights.shape) == (4, (3, 3, 2, 12))
    graph = graph_of(found.content, name="groups")
    assert graph.min_runtime_version == "2.9.0"
    report = preflight(graph)
    (cut,) = [one for one in report.placed if one.operator.outputs[0].name == "four"]
    assert cut.refusals[0].what.startswith("Version 6; the newest")
    assert "A convolution in groups is version 6: train without" in cut.refusals[0].change


def test_dense_layers_are_convolutions_of_one_pixel() -> None:
    found = certified(structures.network(structures.dense))
    made = _operators(found.content)
    for name in ("at_each_pixel", "of_means", "of_all", "scores"):
        assert made[name] == ("CONV_2D", 3)
    assert [one.op for one in graph_of(found.content, name="a").operators].count("RESHAPE") == 2
    scores, image = FileProgram(found.content).outputs
    assert scores["shape"].tolist() == [1, 1, 1, 20]
    assert image["shape"].tolist() == [1, 16, 16, 5]


def test_a_transposed_convolutions_relu_is_an_operator_behind_it() -> None:
    found = certified(structures.network(structures.transposed))
    made = _operators(found.content)
    assert made["fused_linear"] == ("TRANSPOSE_CONV", 3)  # it has a bias
    assert made["fused"] == ("RELU", 2)
    assert made["with_bn"] == ("RELU6", 2)


def test_a_shared_layers_weights_are_equal_in_every_call() -> None:
    found = certified(structures.network(structures.pyramid))
    towers = [one for one in found.network.convolutions if one.layer == "tower"]
    assert [one.output.name for one in towers] == ["tower", "tower_call2", "tower_call3"]
    for one in towers:
        np.testing.assert_array_equal(one.weights, towers[0].weights)
        np.testing.assert_array_equal(one.weight_steps, towers[0].weight_steps)
    assert len({one.inputs[0].step for one in towers}) == 3  # each call on its own edge
    held = model_of(found.content, name="pyramid").subgraphs[0].tensors
    buffers = [tensor.buffer for tensor in held if tensor.name.endswith(b"/weights")]
    assert (len(buffers), len(set(buffers))) == (9, 5)  # the weights of each layer stand there once
    assert convolutions(found.model) == 5


def test_norms_in_front_of_several_readers_are_depthwise() -> None:
    found = certified(structures.network(structures.pre_activation))
    alone = {one.output.name for one in found.network.convolutions if not one.layer}
    assert len(alone) == 3  # two blocks' first norms, and the last
    frozen = found.model.get_layer("before_2")
    assert not frozen.trainable and found.model.get_layer("before_1").trainable
    np.testing.assert_array_equal(frozen.clipped.numpy(), 0.0)


def test_a_cycle_is_cut_by_a_requantization() -> None:
    found = certified(structures.network(structures.dense_block))
    requantized = [one for one in found.network.operations if isinstance(one, Requantize)]
    assert requantized and all(one.activation == "linear" for one in requantized)
    made = _operators(found.content)
    assert {made[one.output.name] for one in requantized} == {("QUANTIZE", 1)}
