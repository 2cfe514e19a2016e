"""The flat graph under rules: which policy acts at a call, and on the edge behind it.

Words: *rules* give each layer, by its name, a policy (`tfquantseg.policy.Rules`). An *edge* takes
its policy from the call in front of it or, where that stays float, from a reader.
"""

import dataclasses
from collections.abc import Mapping

from tfquantseg.policy import Policy, Rules
from tfquantseg.transform.functions import fixed_scale
from tfquantseg.transform.graph import Call, Graph


@dataclasses.dataclass(frozen=True, eq=False)
class RuledGraph:
    """A flat graph and the policy of each of its calls.

    Attributes:
        graph: the flat graph.
        policies: by the name of a call's operation.
    """

    graph: Graph
    policies: Mapping[str, Policy]

    @classmethod
    def of(cls, graph: Graph, rules: Rules) -> "RuledGraph":
        """Returns a graph under rules.

        Args:
            graph: the flat graph.
            rules: policies by layer name.

        Raises:
            ValueError: a rule that is never used, a layer that no rule matches.
        """
        policies = {call.name: rules.policy_for(call.name) for call in graph.calls}
        rules.check_used(policies)
        return cls(graph, policies)

    def policy(self, call: Call) -> Policy:
        """Returns the policy that the rules give a call."""
        return self.policies[call.name]

    def edge_policy(self, call: Call) -> Policy:
        """Returns the policy of the edge behind a call.

        It is the call's own or, where that is float, that of the nearest reader that is not; float
        if all are.
        """
        if not self.policy(call).is_float:
            return self.policy(call)
        readers = list(self.graph.consumers(call.output))
        for reader in readers:  # which grows: the readers of readers come after them
            if not self.policy(reader).is_float:
                return self.policy(reader)
            later = self.graph.consumers(reader.output)
            readers.extend(one for one in later if one not in readers)
        return self.policy(call)

    def fixed_scale(self, call: Call) -> float | None:
        """Returns the constant scale of the edge behind a call, None where it is the batch's.

        Constant is that of an input on a grid, and of a function whose scale devices prescribe.
        """
        of_input = any(self.graph.producer(one).kind == "input" for one in call.inputs)
        return fixed_scale(call, self.edge_policy(call), of_input=of_input)

    def keeps_step(self, call: Call) -> bool:
        """Whether a call acts on integers and keeps their step.

        A selection does; an average does where each tensor that survives on a device has an A.
        """
        policy = self.policy(call)
        averages = policy.A_at == "every_tensor" and not policy.is_float
        return call.kind == "select" or (call.kind == "average" and averages)
