"""Nodes: which convolutions multiply integers, and what a device computes with them in one go.

Words: a *node* is a convolution under a policy that is not float. What alone reads its output may
be *fused* into it: batch norm, constants, ReLU. An output *survives* where nothing was fused, so
that it is a tensor of its own on a device.
"""

import dataclasses

from tfquantseg.layers.convolutions import ErrorGrid
from tfquantseg.numerics.activations import Activation
from tfquantseg.policy import Policy
from tfquantseg.transform.functions import function_of, takes_activation
from tfquantseg.transform.graph import Call, Graph, Kind
from tfquantseg.transform.ruled import RuledGraph


@dataclasses.dataclass(frozen=True)
class Node:
    """A convolution and what is fused into it.

    Attributes:
        call: the convolution.
        policy: its policy.
        activation: "linear", "relu" or "relu6": its own, or a following layer's.
        batch_norm: the batch norm that follows, or None.
        activation_call: the following layer whose activation it computes itself, or None.
        error_grid: "E1", "E2" or "none", as in `tfquantseg.layers.QuantConv2D`.
    """

    call: Call
    policy: Policy
    activation: Activation
    batch_norm: Call | None
    activation_call: Call | None
    error_grid: ErrorGrid


def nodes_of(ruled: RuledGraph) -> dict[int, Node]:
    """Returns the quantized convolutions of a graph.

    Args:
        ruled: the flat graph under rules.

    Returns:
        The nodes in the graph's order, by the id of their call's output.
    """
    return {
        id(call.output): _node(ruled.graph, call, ruled.policy(call))
        for call in ruled.graph.calls
        if call.kind == "convolution" and not ruled.policy(call).is_float
    }


def survives(ruled: RuledGraph, call: Call) -> bool:
    """Whether a call's output is a tensor of its own on a device.

    Args:
        ruled: the flat graph under rules.
        call: of that graph.
    """
    graph, tensor = ruled.graph, call.output
    if call.kind == "input" and not graph.is_output(tensor):
        return any(reader.kind not in ("affine", "float") for reader in graph.consumers(tensor))
    reader = graph.only_consumer(tensor)
    if reader is not None and ruled.fixed_scale(call) is None and _fuses(graph, call, reader):
        return False
    # A softmax at the end is for people; a device ends with what it reads.
    return not (function_of(call) == "softmax" and graph.is_output(tensor))


def _node(graph: Graph, call: Call, policy: Policy) -> Node:
    batch_norm = _follower(graph, call, "batch_norm")
    activation_call = _follower(graph, call, "activation")
    if batch_norm is None:
        error_grid: ErrorGrid = "E2" if policy.E2_at == "conv_output" else "E1"
    else:
        error_grid = "none" if policy.E2_at == "x_hat" else "E2"
    return Node(
        call=call,
        policy=policy,
        activation=(activation_call or call).activation,
        batch_norm=batch_norm,
        activation_call=activation_call,
        error_grid=error_grid,
    )


def _follower(graph: Graph, call: Call, kind: Kind) -> Call | None:
    """Returns the only reader of a convolution's output if it is of this kind.

    A layer that is called several times has to be followed alike every time.
    """
    readers = [graph.only_consumer(one.output) for one in graph.calls_of(call.operation)]
    kinds = {(one.kind, one.activation) if one else None for one in readers}
    reader = graph.only_consumer(call.output)
    if reader is None or reader.kind != kind or len(kinds) > 1 or call.activation != "linear":
        return None
    return reader


def _fuses(graph: Graph, call: Call, reader: Call) -> bool:
    """Whether a device computes a call and the only reader of its output as one."""
    if call.kind == "convolution" and reader.kind in ("batch_norm", "activation"):
        return _follower(graph, call, reader.kind) is not None
    if reader.kind == "affine":
        is_linear = call.kind == "convolution" and call.activation == "linear"
        return is_linear or call.kind in ("batch_norm", "affine")
    if reader.kind == "batch_norm":
        return call.kind == "affine"
    return reader.kind == "activation" and takes_activation(call)
