"""Plan: what `quantize` will build of a flat graph; the rebuild asks it, and print shows it.

It is made in three steps, each of what came before: which convolutions multiply integers
(`nodes.py`), which tensors carry pairs and where they are quantized (`edges.py`), and which of
these share a step (`ties.py`).
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from tfquantseg.policy import Policy, Rules
from tfquantseg.transform.edges import Edge, Root, pairs_of
from tfquantseg.transform.graph import Call, Graph
from tfquantseg.transform.nodes import Node, nodes_of
from tfquantseg.transform.ruled import RuledGraph
from tfquantseg.transform.ties import Ties, tie


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """What `quantize` will build; ``str(plan)`` shows it.

    Attributes:
        ruled: the flat graph, and the policy of each call.
        nodes: the quantized convolutions, by the id of their call's output.
        pairs: the ids of the tensors that are (integers, step).
        ties: which edge quantizes which tensors.
    """

    ruled: RuledGraph
    nodes: Mapping[int, Node]
    pairs: frozenset[int]
    ties: Ties

    @classmethod
    def of(cls, graph: Graph, rules: Rules) -> "Plan":
        """Plans a flat graph under rules.

        Args:
            graph: what `read_graph` returned.
            rules: policies by layer name.

        Raises:
            ValueError: a rule that is never used, a layer that no rule matches.
        """
        ruled = RuledGraph.of(graph, rules)
        nodes = nodes_of(ruled)
        pairs = pairs_of(ruled, nodes)
        return cls(ruled, nodes, pairs, tie(ruled, nodes, pairs))

    @property
    def graph(self) -> Graph:
        """The flat graph."""
        return self.ruled.graph

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Every edge, in the order of its first root."""
        return self.ties.edges

    def policy(self, call: Call) -> Policy:
        """Returns the policy that the rules give a call."""
        return self.ruled.policy(call)

    def carries_pair(self, tensor: Any) -> bool:
        """Whether a tensor is (integers, step)."""
        return id(tensor) in self.pairs

    def edge_at(self, root: Root) -> Edge | None:
        """Returns the edge that quantizes a root, None if it is not one."""
        return self.ties.edge_of_root.get(root)

    def edge_of(self, tensor: Any) -> Edge:
        """Returns the edge whose step a tensor is on that carries a pair."""
        return self.ties.edge_of(tensor)

    def reads_pair(self, call: Call, tensor: Any) -> bool:
        """Whether a call reads a tensor's pair; a float part of the network reads float tensors."""
        if not self.carries_pair(tensor):
            return False
        makers = (self.graph.producer(root.tensor) for root in self.ties.roots(tensor))
        both_float = self.policy(call).is_float and all(
            self.policy(maker).is_float for maker in makers
        )
        return not both_float

    def fused_into(self, call: Call) -> Node | None:
        """Returns the convolution that computes this activation itself, or None."""
        return self._node_of_activation.get(id(call.output))

    def A_bits(self, node: Node) -> int | None:
        """Returns the bits that hold every integer a convolution reads, None if unknown.

        A layer that is called several times reads several edges.
        """
        grids = [edge.A() for edge in self._input_edges(node)]
        widths = [None if grid is None else grid.integer_bits for grid in grids]
        return None if None in widths else max(width for width in widths if width is not None)

    def A_unsigned(self, node: Node) -> bool:
        """Whether a convolution reads integers of an unsigned grid."""
        grids = [edge.A() for edge in self._input_edges(node)]
        return any(grid is not None and not grid.signed for grid in grids)

    @functools.cached_property
    def _node_of_activation(self) -> dict[int, Node]:
        return {
            id(node.activation_call.output): node
            for node in self.nodes.values()
            if node.activation_call is not None
        }

    def _input_edges(self, node: Node) -> list[Edge]:
        calls = self.graph.calls_of(node.call.operation)
        return [self.edge_of(call.inputs[0]) for call in calls]

    def __str__(self) -> str:
        """Returns two tables: convolutions with their operands, and edges with their tensors."""
        wide = max(12, *(len(policy.name) for policy in self.ruled.policies.values()))
        lines = [f"{'convolution':32} {'policy':{wide}} {'fused':18} {'error':6} input step of"]
        for node in self.nodes.values():
            parts = ["bn"] * (node.batch_norm is not None)
            parts += [node.activation] * (node.activation != "linear")
            lines.append(
                f"{node.call.label:32} {node.policy.name:{wide}} {'+'.join(parts) or '-':18} "
                f"{node.error_grid:6} {self.edge_of(node.call.inputs[0]).name}"
            )
        lines += ["", f"{'edge':32} {'policy':{wide}} {'E1':4} tensors on its step"]
        for edge in self.edges:
            names = [
                self.graph.producer(root.tensor).label + (" (requantized)" if root.at else "")
                for root in edge.roots
            ]
            lines.append(
                f"{edge.name:32} {edge.policy.name:{wide}} "
                f"{'yes' if any(edge.quantizes_error) else '-':4} {', '.join(names)}"
            )
        return "\n".join(lines)
