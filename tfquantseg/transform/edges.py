"""Edges: which tensors carry pairs, where they are quantized, and on which grid.

Words: a *root* is a tensor that an edge quantizes. Tensors made from it by layers that act on
integers carry its pair on. An edge with several roots is a *tie*, made in `ties.py`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfquantseg.numerics.grids import Scaled
from tfquantseg.policy import Policy
from tfquantseg.transform.functions import is_non_negative
from tfquantseg.transform.graph import Call
from tfquantseg.transform.nodes import Node, survives
from tfquantseg.transform.ruled import RuledGraph


@dataclasses.dataclass(frozen=True)
class Root:
    """A tensor that an edge quantizes, told apart by identity.

    Attributes:
        tensor: the tensor, float32.
        at: None, or the concatenation in front of which a tensor that already carries a pair is
            requantized.
    """

    tensor: Any
    at: Call | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Edge:
    """One step, and the tensors on it.

    Attributes:
        name: the quantizing layer's name.
        roots: the tensors that are quantized on this step.
        quantizes_error: of each root, whether E1 is quantized there.
        reads: the tensors with pairs that the roots are computed from.
        policies: of each root, whose E1 it takes.
        non_negative: whether no root holds values below zero, whatever the weights.
        fixed_scale: the constant scale of a model's input that lies on a grid, or of a function
            whose scale the device prescribes; or None.
    """

    name: str
    roots: tuple[Root, ...]
    quantizes_error: tuple[bool, ...]
    reads: tuple[Any, ...]
    policies: tuple[Policy, ...]
    non_negative: bool
    fixed_scale: float | None = None

    @property
    def policy(self) -> Policy:
        """That of the first root, whose A the whole edge takes."""
        return self.policies[0]

    def A(self) -> Scaled | None:
        """Returns the grid of the activations on this edge, None where they stay float32."""
        grid = self.policy.A(non_negative=self.non_negative)
        if grid and self.fixed_scale is not None and self.non_negative:
            return dataclasses.replace(grid, signed=False)  # whatever the policy, as on a device
        return grid

    def is_like(self, other: "Edge") -> bool:
        """Whether the roots of two edges may lie on one step."""
        return self._kind() == other._kind()

    def tied_to(self, other: "Edge") -> "Edge":
        """Returns an edge of this one's name and A with the roots of both."""
        return dataclasses.replace(
            self,
            roots=self.roots + other.roots,
            quantizes_error=self.quantizes_error + other.quantizes_error,
            reads=self.reads + other.reads,
            policies=self.policies + other.policies,
            non_negative=self.non_negative and other.non_negative,
        )

    def _kind(self) -> tuple[Any, ...]:
        unsigned = self.fixed_scale is not None and self.non_negative
        policy = self.policy
        return self.fixed_scale, unsigned, policy.A(), policy.A_scale, policy.A_sign


def pairs_of(ruled: RuledGraph, nodes: Mapping[int, Node]) -> frozenset[int]:
    """Returns which tensors are pairs (integers, step).

    They are what nodes read, what survives on a device where the policy says so, and what layers
    that keep the step make these from.

    Args:
        ruled: the flat graph under rules.
        nodes: by the id of their output.

    Returns:
        The ids of the tensors.
    """
    pairs: set[int] = set()
    for call in reversed(ruled.graph.calls):
        policy = ruled.policy(call)
        if policy.A_at == "every_tensor" and not policy.is_float and survives(ruled, call):
            pairs.add(id(call.output))
        moves = call.kind == "concatenate" or ruled.keeps_step(call)
        if id(call.output) in nodes or (moves and id(call.output) in pairs):
            pairs.update(map(id, call.inputs))
    return frozenset(pairs)


def edge_behind(
    ruled: RuledGraph, nodes: Mapping[int, Node], pairs: frozenset[int], call: Call
) -> Edge:
    """Returns the edge that quantizes what a call makes.

    Args:
        ruled: the flat graph under rules.
        nodes: by the id of their output.
        pairs: what `pairs_of` returned.
        call: one that makes float values, and whose output carries a pair.
    """
    return Edge(
        name=f"{call.label}_A",
        roots=(Root(call.output),),
        quantizes_error=(_quantizes_error(ruled, nodes, pairs, call),),
        reads=_reads(ruled, pairs, call),
        policies=(ruled.edge_policy(call),),
        non_negative=is_non_negative(ruled.graph, call.output),
        fixed_scale=ruled.fixed_scale(call),
    )


def requantizing_edge(ruled: RuledGraph, concatenation: Call, tensor: Any) -> Edge:
    """Returns the edge that quantizes a pair again, in front of a concatenation.

    Args:
        ruled: the flat graph under rules.
        concatenation: the call that reads it.
        tensor: a member, which carries a pair.
    """
    return Edge(
        name=f"{concatenation.label}_{ruled.graph.producer(tensor).label}_A",
        roots=(Root(tensor, concatenation),),
        quantizes_error=(False,),
        reads=(tensor,),
        policies=(ruled.edge_policy(concatenation),),
        non_negative=is_non_negative(ruled.graph, tensor),
    )


def _reads(ruled: RuledGraph, pairs: frozenset[int], call: Call) -> tuple[Any, ...]:
    """Returns the nearest tensors with pairs that a call's output is computed from."""
    found: dict[int, Any] = {}
    stack, seen = list(call.inputs), set[int]()
    while stack:
        tensor = stack.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if id(tensor) in pairs:
            found[id(tensor)] = tensor
        else:
            stack.extend(ruled.graph.producer(tensor).inputs)
    return tuple(found.values())


def _quantizes_error(
    ruled: RuledGraph, nodes: Mapping[int, Node], pairs: frozenset[int], call: Call
) -> bool:
    """Whether E1 is quantized at the edge behind a call.

    Not where every way up ends in a convolution that quantizes this very error itself, or in
    another edge: quantizing one error twice would only add noise.
    """
    stack, seen = [call], {id(call)}
    while stack:
        current = stack.pop()
        if current.kind == "convolution":
            if id(current.output) not in nodes:
                return True
            continue
        if current.kind in ("batch_norm", "affine", "float"):
            return True
        for tensor in current.inputs:
            above = ruled.graph.producer(tensor)
            if id(tensor) not in pairs and id(above) not in seen:
                seen.add(id(above))
                stack.append(above)
    return False
