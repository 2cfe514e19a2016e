"""Ties: which tensors share a step, and which are requantized so that they can.

A concatenation is computed on one step, so the edges of its members are *tied* into one, from the
newest member to the oldest. An edge needs all its roots before the first is read; a tie whose
roots wait for each other is impossible. The member that is read first is then *requantized* where
it meets the others (a QUANTIZE on the device, simulated in training).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras

from tfquantseg.transform.edges import Edge, Root, edge_behind, requantizing_edge
from tfquantseg.transform.graph import Call
from tfquantseg.transform.nodes import Node
from tfquantseg.transform.ruled import RuledGraph


@dataclasses.dataclass(frozen=True, eq=False)
class Ties:
    """Which edge quantizes which root; what is tied next gives another such value.

    Attributes:
        ruled: the flat graph under rules.
        edge_of_root: each root's edge, in the order in which roots were made.
    """

    ruled: RuledGraph
    edge_of_root: Mapping[Root, Edge]

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Every edge, in the order of its first root."""
        return tuple(dict.fromkeys(self.edge_of_root.values()))

    def roots(self, tensor: Any) -> list[Root]:
        """Returns the roots whose edge gives a tensor its step, several behind a concatenation."""
        found, stack = list[Root](), [Root(tensor)]
        while stack:
            root = stack.pop()
            call = self.ruled.graph.producer(root.tensor)
            if root in self.edge_of_root:
                found.append(root)
            elif root.at is not None:  # a member that is not requantized
                stack.append(Root(root.tensor))
            elif call.kind == "concatenate":
                stack.extend(Root(member, call) for member in reversed(call.inputs))
            else:
                stack.append(Root(call.inputs[0]))
        return found

    def edge_of(self, tensor: Any) -> Edge:
        """Returns the edge whose step a tensor is on."""
        return self.edge_of_root[self.roots(tensor)[0]]

    def with_edge(self, edge: Edge) -> "Ties":
        """Returns these ties with one more edge, or with more roots on one."""
        return Ties(self.ruled, {**self.edge_of_root, **dict.fromkeys(edge.roots, edge)})

    def with_tied(self, one: Edge, other: Edge) -> "Ties | None":
        """Returns these ties with two edges made one, of the first one's name and A.

        Returns:
            None if their steps are of two kinds, or a root would then wait for itself.
        """
        if one is other:
            return self
        if not one.is_like(other):
            return None
        joint = one.tied_to(other)
        tied = self.with_edge(joint)
        return None if tied._waits_for_itself(joint) else tied

    def _waits_for_itself(self, edge: Edge) -> bool:
        """Whether an edge is computed from what it quantizes."""
        stack, seen = [edge], set[Edge]()
        while stack:
            needed = {self.edge_of(tensor) for tensor in stack.pop().reads}
            if edge in needed:
                return True
            stack.extend(needed - seen)
            seen |= needed
        return False


def tie(ruled: RuledGraph, nodes: Mapping[int, Node], pairs: frozenset[int]) -> Ties:
    """Returns the edges of a graph, those tied that share a step.

    Args:
        ruled: the flat graph under rules.
        nodes: by the id of their output.
        pairs: the ids of the tensors that are pairs, all others being float.
    """
    ties = Ties(ruled, {})
    age = {id(call.output): -place for place, call in enumerate(ruled.graph.calls)}
    for call in ruled.graph.calls:
        if id(call.output) not in pairs or ruled.keeps_step(call):
            continue
        if call.kind == "concatenate":
            members = sorted(call.inputs, key=lambda tensor: age[id(tensor)])
            ties = _on_newest_step(ties, call, members) or _on_own_step(ties, call)
        else:
            ties = ties.with_edge(edge_behind(ruled, nodes, pairs, call))
    return ties


def _on_newest_step(ties: Ties, call: Call, members: list[Any]) -> Ties | None:
    """Ties the members of a concatenation, newest first, to the step of the newest.

    Returns:
        None if there is a member that can't be tied even if it is requantized: whatever it is
        made from waits for the newest.
    """
    newest, *older = members
    joint = _edge_of_member(ties, call, newest)
    ties = ties.with_edge(joint)
    for tensor in older:
        joint = ties.edge_of_root[joint.roots[0]]
        tied = ties.with_tied(joint, _edge_of_member(ties, call, tensor)) or ties.with_tied(
            joint, _requantizing(ties, call, tensor)
        )
        if tied is None:
            return None
        ties = tied
    return ties


def _on_own_step(ties: Ties, call: Call) -> Ties:
    """Requantizes all members of a concatenation, onto a step of its own."""
    first, *others = (
        requantizing_edge(ties.ruled, call, tensor)
        for tensor in {id(tensor): tensor for tensor in call.inputs}.values()
    )
    for other in others:
        first = first.tied_to(other)
    return ties.with_edge(first)


def _edge_of_member(ties: Ties, call: Call, tensor: Any) -> Edge:
    """Returns the edge of a concatenation's member, a requantizing one behind a dropout.

    While training, a dropout's step is its input's times 1/(1 - rate), nobody else's.
    """
    maker = ties.ruled.graph.producer(tensor)
    while ties.ruled.keeps_step(maker):
        if isinstance(maker.operation, keras.layers.Dropout) and maker.operation.rate > 0:
            return _requantizing(ties, call, tensor)
        maker = ties.ruled.graph.producer(maker.inputs[0])
    return ties.edge_of(tensor)


def _requantizing(ties: Ties, call: Call, tensor: Any) -> Edge:
    """Returns the edge that requantizes a member in front of a concatenation."""
    made = ties.edge_of_root.get(Root(tensor, call))
    return made or requantizing_edge(ties.ruled, call, tensor)
