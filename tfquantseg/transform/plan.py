"""Plan: which tensors of the flat graph carry pairs and share a step, who quantizes which error.

Words: a *root* is a tensor that an edge quantizes. Tensors made from it by layers that act on
integers carry its pair on. A *tie* is an edge with several roots, which share one step. A tie
whose roots wait for each other is impossible; the root that is read first is then *requantized*
where it meets the others (a QUANTIZE on the device, simulated in training).
"""

import dataclasses
import graphlib
from typing import Any

import keras

from tfquantseg.layers.convolutions import ErrorGrid
from tfquantseg.numerics.activations import Activation
from tfquantseg.numerics.grids import Scaled
from tfquantseg.policy import Policy, Rules
from tfquantseg.transform.functions import fixed_scale, function_of, keeps_sign, takes_activation
from tfquantseg.transform.graph import Call, Graph


@dataclasses.dataclass(frozen=True)
class Root:
    """A tensor that an edge quantizes.

    Attributes:
        tensor: the tensor, float32.
        at: None, or the concatenation in front of which a tensor that already carries a pair is
            requantized.
        quantizes_error: whether E1 is quantized here.
    """

    tensor: Any
    at: Call | None = None
    quantizes_error: bool = False

    @property
    def key(self) -> tuple[int, int]:
        """What tells roots apart."""
        return id(self.tensor), id(self.at)


@dataclasses.dataclass(eq=False)
class Edge:
    """One step, and the tensors on it.

    Attributes:
        name: the quantizing layer's name.
        roots: the tensors that are quantized on this step.
        policy: whose A and E1 it takes.
        fixed_scale: the constant scale of a model's input that lies on a grid, or of a function
            whose scale the device prescribes; or None.
    """

    name: str
    roots: list[Root]
    policy: Policy
    fixed_scale: float | None = None


@dataclasses.dataclass(frozen=True)
class Node:
    """A convolution and what is fused into it.

    Attributes:
        call: the convolution.
        policy: its policy.
        activation: "linear", "relu" or "relu6": its own, or a following layer's.
        batch_norm: the batch norm that follows, or None.
        error_grid: "E1", "E2" or "none", as in `tfquantseg.layers.QuantConv2D`.
    """

    call: Call
    policy: Policy
    activation: Activation
    batch_norm: Call | None
    error_grid: ErrorGrid


class Plan:
    """What `quantize` will build; ``str(plan)`` shows it.

    Attributes:
        graph: the flat graph.
        nodes: the quantized convolutions, by the id of their call's output.
        edges: every edge, in the order of its first root.
    """

    def __init__(self, graph: Graph, rules: Rules) -> None:
        """Plans a flat graph under rules.

        Raises:
            ValueError: a rule that is never used, a layer that no rule matches.
        """
        self.graph = graph
        self._policies = {call.name: rules.policy_for(call.name) for call in graph.calls}
        rules.check_used(self._policies)
        self.nodes = {
            id(call.output): self._node(call)
            for call in graph.calls
            if call.kind == "convolution" and not self.policy(call).is_float
        }
        self._fused_activations = {
            id(reader.output): node
            for node in self.nodes.values()
            if node.batch_norm is None
            and (reader := self._follower(node.call, "activation")) is not None
        }
        self._call_of = {id(call.output): call for call in graph.calls}
        self._wanted: set[int] = set()
        self._edge_of: dict[tuple[int, int], Edge] = {}
        for call in reversed(graph.calls):
            self._want(call)
        for call in graph.calls:
            self._tie(call)
        self.edges = list({id(edge): edge for edge in self._edge_of.values()}.values())

    # Questions that the rebuild asks.

    def policy(self, call: Call) -> Policy:
        """Returns the policy that the rules give a call."""
        return self._policies[call.name]

    def carries_pair(self, tensor: Any) -> bool:
        """Whether a tensor is (integers, step)."""
        return id(tensor) in self._wanted

    def edge_at(self, root: Root) -> Edge | None:
        """Returns the edge that quantizes a root, None if it is not one."""
        return self._edge_of.get(root.key)

    def reads_pair(self, call: Call, tensor: Any) -> bool:
        """Whether a call reads a tensor's pair; a float part of the network reads float tensors."""
        if not self.carries_pair(tensor):
            return False
        both_float = self.policy(call).is_float and all(
            self.policy(self.graph.producer(root.tensor)).is_float for root in self.roots(tensor)
        )
        return not both_float

    def A_bits(self, node: Node) -> int | None:
        """Returns the bits that hold every integer a convolution reads, None if unknown.

        A layer that is called several times reads several edges.
        """
        grids = [self.A(edge) for edge in self._input_edges(node)]
        widths = [None if grid is None else grid.integer_bits for grid in grids]
        return None if None in widths else max(width for width in widths if width is not None)

    def A_unsigned(self, node: Node) -> bool:
        """Whether a convolution reads integers of an unsigned grid."""
        grids = [self.A(edge) for edge in self._input_edges(node)]
        return any(grid is not None and not grid.signed for grid in grids)

    def A(self, edge: Edge) -> Scaled | None:
        """Returns the grid of the activations on an edge."""
        grid = edge.policy.A(non_negative=self.is_non_negative(edge))
        if grid and edge.fixed_scale is not None and self.is_non_negative(edge):
            return dataclasses.replace(grid, signed=False)  # whatever the policy, as on a device
        return grid

    def is_non_negative(self, edge: Edge) -> bool:
        """Whether no tensor on an edge holds values below zero, whatever the weights."""
        return all(self._is_non_negative(root.tensor) for root in edge.roots)

    def _is_non_negative(self, tensor: Any) -> bool:
        """ReLU is not negative, and no sum, product, average or choice of what is not is."""
        stack, seen = [tensor], {id(tensor)}
        while stack:
            call = self.graph.producer(stack.pop())
            if call.activation in ("relu", "relu6"):
                continue
            if function_of(call) in ("sigmoid", "softmax"):
                continue
            if not keeps_sign(call):
                return False
            stack.extend(one for one in call.inputs if id(one) not in seen)
            seen.update(map(id, call.inputs))
        return True

    def _input_edges(self, node: Node) -> list[Edge]:
        calls = self.graph.calls_of(node.call.operation)
        return [self._input_edge(call) for call in calls]

    def _input_edge(self, call: Call) -> Edge:
        return self._edge_of[self.roots(call.inputs[0])[0].key]

    def is_tied(self, call: Call) -> bool:
        """Whether an average is computed on its input's step."""
        return self.policy(call).A_at == "every_tensor" and not self.policy(call).is_float

    def fused_into(self, call: Call) -> Node | None:
        """Returns the convolution that computes this activation itself, or None."""
        return self._fused_activations.get(id(call.output))

    def roots(self, tensor: Any) -> list[Root]:
        """Returns the roots whose edge gives a tensor its step."""
        call = self.graph.producer(tensor)
        if call.kind == "select" or (call.kind == "average" and self.is_tied(call)):
            return self.roots(call.inputs[0])
        if call.kind == "concatenate":
            return [root for member in call.inputs for root in self.member(call, member)]
        return [Root(tensor)]

    def member(self, concatenation: Call, tensor: Any) -> list[Root]:
        """Returns the roots of one member of a concatenation, requantized if it has to be."""
        requantized = Root(tensor, concatenation)
        return [requantized] if requantized.key in self._edge_of else self.roots(tensor)

    # The plan.

    def _follower(self, call: Call, kind: str) -> Call | None:
        """Returns the only reader of a convolution's output if it is of this kind.

        A layer that is called several times has to be followed alike every time.
        """
        readers = [
            self.graph.only_consumer(one.output) for one in self.graph.calls_of(call.operation)
        ]
        kinds = {(one.kind, one.activation) if one else None for one in readers}
        reader = self.graph.only_consumer(call.output)
        if reader is None or reader.kind != kind or len(kinds) > 1 or call.activation != "linear":
            return None
        return reader

    def _node(self, call: Call) -> Node:
        policy = self.policy(call)
        batch_norm = self._follower(call, "batch_norm")
        activation: Activation = call.activation
        error_grid: ErrorGrid = "E2"
        if batch_norm is None:
            reader = self._follower(call, "activation")
            activation = activation if reader is None else reader.activation
            error_grid = "E2" if policy.E2_at == "conv_output" else "E1"
        elif policy.E2_at == "x_hat":
            error_grid = "none"
        return Node(call, policy, activation, batch_norm, error_grid)

    def _survives(self, call: Call) -> bool:
        """Whether a call's output is a tensor of its own on a device."""
        tensor = call.output
        if call.kind == "input" and not self.graph.is_output(tensor):
            readers = self.graph.consumers(tensor)
            return any(reader.kind not in ("affine", "float") for reader in readers)
        reader = self.graph.only_consumer(tensor)
        if reader is not None and self._fixed_scale(call) is None:
            if call.kind == "convolution" and reader.kind in ("batch_norm", "activation"):
                return self._follower(call, reader.kind) is None
            if call.kind == "convolution" and reader.kind == "affine":
                return call.activation != "linear"
            if call.kind == "batch_norm" and reader.kind == "affine":
                return False
            if call.kind == "affine" and reader.kind in ("affine", "batch_norm"):
                return False
            if takes_activation(call) and reader.kind == "activation":
                return False
        return not (function_of(call) == "softmax" and self.graph.is_output(tensor))

    def _want(self, call: Call) -> None:
        """Marks what has to carry a pair; called from the outputs to the inputs."""
        policy = self.policy(call)
        if policy.A_at == "every_tensor" and not policy.is_float and self._survives(call):
            self._wanted.add(id(call.output))
        carries = call.kind in ("select", "concatenate") or (
            call.kind == "average" and self.is_tied(call)
        )
        reads = id(call.output) in self.nodes or (carries and id(call.output) in self._wanted)
        if reads:
            self._wanted.update(id(tensor) for tensor in call.inputs)

    def _tie(self, call: Call) -> None:
        """Makes the edge of a call's output, or ties the members of a concatenation."""
        if not self.carries_pair(call.output):
            return
        if call.kind == "concatenate":
            self._tie_members(call)
        elif not (call.kind == "select" or (call.kind == "average" and self.is_tied(call))):
            root = Root(call.output, quantizes_error=self._quantizes_error(call))
            self._edge_of[root.key] = Edge(
                name=f"{call.label}_A",
                roots=[root],
                policy=self._edge_policy(call),
                fixed_scale=self._fixed_scale(call),
            )

    def _tie_members(self, call: Call) -> None:
        """Puts the members of a concatenation on one step, the newest member's if that can be."""
        order = {id(other.output): i for i, other in enumerate(self.graph.calls)}
        newest_first = sorted(call.inputs, key=lambda tensor: -order[id(tensor)])
        before = dict(self._edge_of), {id(e): list(e.roots) for e in self._edge_of.values()}
        joint = self._edge_of_member(call, newest_first[0])
        for tensor in newest_first[1:]:
            edge = self._edge_of_member(call, tensor)
            if edge is joint or self._merge(joint, edge):
                continue
            if not self._merge(joint, self._requantizing(call, tensor)):
                break
        else:
            return
        # Whatever else there is waits for the newest member: a step of the concatenation's own.
        self._edge_of = before[0]
        for edge in self._edge_of.values():
            edge.roots = before[1][id(edge)]
        joint = self._requantizing(call, call.inputs[0])
        for tensor in call.inputs[1:]:
            self._merge(joint, self._requantizing(call, tensor))

    def _edge_of_member(self, call: Call, tensor: Any) -> Edge:
        """Returns the edge of a concatenation's member, a requantizing one behind a dropout.

        While training, a dropout's step is its input's times 1/(1 - rate), nobody else's.
        """
        maker = self.graph.producer(tensor)
        while maker.kind in ("select", "average") and self.edge_at(Root(maker.output)) is None:
            if isinstance(maker.operation, keras.layers.Dropout) and maker.operation.rate > 0:
                return self._requantizing(call, tensor)
            maker = self.graph.producer(maker.inputs[0])
        return self._edge_of[self.roots(tensor)[0].key]

    def _requantizing(self, call: Call, tensor: Any) -> Edge:
        """Makes an edge that requantizes one member in front of a concatenation."""
        root = Root(tensor, call)
        if root.key not in self._edge_of:
            name = f"{call.label}_{self.graph.producer(tensor).label}_A"
            self._edge_of[root.key] = Edge(name, [root], self._edge_policy(call))
        return self._edge_of[root.key]

    def _merge(self, first: Edge, second: Edge) -> bool:
        """Ties two edges if no root then waits for itself; returns whether it did."""
        if first is second:
            return True
        one, other = (
            (
                edge.fixed_scale,
                edge.fixed_scale is not None and self.is_non_negative(edge),
                edge.policy.A(),
                edge.policy.A_scale,
                edge.policy.A_sign,
            )
            for edge in (first, second)
        )
        if one != other:
            return False
        for root in second.roots:
            self._edge_of[root.key] = first
        if self._waits_for_itself():
            for root in second.roots:
                self._edge_of[root.key] = second
            return False
        first.roots.extend(second.roots)
        return True

    def _waits_for_itself(self) -> bool:
        """Whether the edges, as tied now, can't be computed in any order."""
        needs: dict[int, set[int]] = {}
        for edge_key, edge in self._edge_of.items():
            needs.setdefault(id(edge), set()).update(self._needs(edge_key))
        try:
            graphlib.TopologicalSorter(needs).prepare()
        except graphlib.CycleError:
            return True
        return False

    def _needs(self, key: tuple[int, int]) -> set[int]:
        """Returns the ids of the edges that a root's float tensor is computed from."""
        call = self._call_of[key[0]]
        if key[1] != id(None):
            return {id(self._edge_of[root.key]) for root in self.roots(call.output)}
        found: set[int] = set()
        stack = list(call.inputs)
        seen: set[int] = set()
        while stack:
            tensor = stack.pop()
            if id(tensor) in seen:
                continue
            seen.add(id(tensor))
            if self.carries_pair(tensor):
                edges = (self._edge_of.get(root.key) for root in self.roots(tensor))
                found.update(id(edge) for edge in edges if edge is not None)
            else:
                stack.extend(self.graph.producer(tensor).inputs)
        return found

    def _edge_policy(self, call: Call) -> Policy:
        """The producer's policy or, where that is float, that of the first reader that is not."""
        if not self.policy(call).is_float:
            return self.policy(call)
        stack = list(self.graph.consumers(call.output))
        while stack:
            reader = stack.pop(0)
            if not self.policy(reader).is_float:
                return self.policy(reader)
            stack.extend(self.graph.consumers(reader.output))
        return self.policy(call)

    def _quantizes_error(self, call: Call) -> bool:
        """Whether E1 is quantized at the edge behind a call.

        Not where every way up ends in a convolution that quantizes this very error itself, or in
        another edge: quantizing one error twice would only add noise.
        """
        stack, seen = [call], {id(call)}
        while stack:
            current = stack.pop()
            if current.kind == "convolution":
                if id(current.output) not in self.nodes:
                    return True
                continue
            if current.kind in ("batch_norm", "affine", "float"):
                return True
            for tensor in current.inputs:
                above = self.graph.producer(tensor)
                if not self.carries_pair(tensor) and id(above) not in seen:
                    seen.add(id(above))
                    stack.append(above)
        return False

    def _fixed_scale(self, call: Call) -> float | None:
        """The constant scale of an input on a grid, or of a function; or None."""
        of_input = any(self.graph.producer(one).kind == "input" for one in call.inputs)
        return fixed_scale(call, self._edge_policy(call), of_input=of_input)

    def __str__(self) -> str:
        """Returns two tables: convolutions with their operands, and edges with their tensors."""
        wide = max(12, *(len(policy.name) for policy in self._policies.values()))
        lines = [f"{'convolution':32} {'policy':{wide}} {'fused':18} {'error':6} input step of"]
        for node in self.nodes.values():
            fused = "+".join(
                part
                for part in (
                    "bn" if node.batch_norm else "",
                    node.activation if node.activation != "linear" else "",
                )
                if part
            )
            edge = self._input_edge(node.call)
            lines.append(
                f"{node.call.label:32} {node.policy.name:{wide}} {fused or '-':18} "
                f"{node.error_grid:6} {edge.name}"
            )
        lines += ["", f"{'edge':32} {'policy':{wide}} {'E1':4} tensors on its step"]
        for edge in self.edges:
            names = [
                self.graph.producer(root.tensor).label + (" (requantized)" if root.at else "")
                for root in edge.roots
            ]
            lines.append(
                f"{edge.name:32} {edge.policy.name:{wide}} "
                f"{'yes' if any(root.quantizes_error for root in edge.roots) else '-':4} "
                f"{', '.join(names)}"
            )
        return "\n".join(lines)
