"""Which layers need more bits: a rules file made of what each costs alone.

Costs are taken to add up. The layers that cost most are lifted to a better policy, one after the
other, until what the others cost together is within a budget: fewer can't do it, for of all sets of
one size, that of the largest costs leaves the least. Costs below zero, which are noise, count as
zero. Forward objects (W, A) and backward ones (E1, E2, G) are lifted apart, within budgets of their
own.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

from tfquantseg.analysis.sensitivity import BACKWARD, FORWARD, Finding, Object
from tfquantseg.policy import Policy, Rules, preset


@dataclasses.dataclass(frozen=True, kw_only=True)
class Proposal:
    """A mixed-precision policy.

    Attributes:
        base: the policy of all other layers, a preset's name with changes.
        pairs: (layer-name pattern, preset's name with changes), as a recipe's `rules` has them.
        forward: layers whose W and A are lifted, the costliest first.
        backward: layers whose E1, E2 and G are lifted.
        loss: the rise of the loss that the others are predicted to cost together.
        lost: their lost descent, predicted.
    """

    base: str
    pairs: tuple[tuple[str, str], ...]
    forward: tuple[str, ...]
    backward: tuple[str, ...]
    loss: float
    lost: float

    def rules(self) -> Rules:
        """Returns the rules, for `tfquantseg.quantize`."""
        return rules_of(self.pairs, self.base)

    def text(self) -> str:
        """Returns the rules as `--config.rules` and `rules_from` read them: a tuple of pairs."""
        lines = [f"    ({pattern!r}, {name!r})," for pattern, name in self.pairs]
        return "\n".join(["(", *lines, ")"]) + "\n" if lines else "()\n"


def rules_of(pairs: Sequence[tuple[str, str]], base: str) -> Rules:
    """Returns rules of (pattern, preset's name with changes), and a base for all other layers."""
    chosen = [(pattern, preset(name)) for pattern, name in pairs]
    return Rules((*chosen, (".*", preset(base))))


def fewest(costs: Mapping[str, float], budget: float) -> tuple[str, ...]:
    """Returns the fewest names such that the costs of all others sum to at most a budget.

    Args:
        costs: by name; those below zero count as zero.
        budget: not negative.

    Returns:
        The names, the costliest first.
    """
    ranked = sorted(costs, key=lambda name: (-costs[name], name))
    left = sum(max(cost, 0.0) for cost in costs.values())
    chosen = []
    for name in ranked:
        if left <= budget or costs[name] <= 0:
            break
        chosen.append(name)
        left = sum(max(costs[other], 0.0) for other in ranked[len(chosen) :])
    return tuple(chosen)


def propose(
    findings: Sequence[Finding],
    objects: Sequence[Object],
    *,
    base: str,
    better: Policy,
    loss: float,
    lost: float,
) -> Proposal:
    """Proposes which layers to lift to a better policy.

    Args:
        findings: of the objects that may be lifted.
        objects: these, at least.
        base: the policy that was measured, a preset's name with changes.
        better: gives the bits of what is lifted.
        loss: the rise of the loss that is accepted.
        lost: the lost descent that is accepted.
    """
    forward, backward = (_by_layer(findings, letters) for letters in (FORWARD, BACKWARD))
    up_forward, up_backward = fewest(forward, loss), fewest(backward, lost)
    lifted: dict[str, dict[str, int | None]] = {}
    for letters, layers in ((FORWARD, up_forward), (BACKWARD, up_backward)):
        for one in objects:
            if one.letter in letters and one.layer in layers:
                field = f"k_{one.letter}"
                for name in one.by:
                    lifted.setdefault(name, {})[field] = getattr(better, field)
    return Proposal(
        base=base,
        pairs=tuple((re.escape(name), merged(base, changes)) for name, changes in lifted.items()),
        forward=up_forward,
        backward=up_backward,
        loss=_rest(forward, up_forward),
        lost=_rest(backward, up_backward),
    )


def merged(text: str, changes: Mapping[str, int | None]) -> str:
    """Returns a preset's name with changes, of a text that may have some already.

    Example:
        >>> merged("INTEGER k_W=4 norm=l2", {"k_W": 8})
        'INTEGER k_W=8 norm=l2'
    """
    name, *given = text.split()
    fields = dict(one.split("=", 1) for one in given)
    fields.update({field: str(value) for field, value in changes.items()})
    return " ".join([name, *(f"{field}={value}" for field, value in fields.items())])


def without_backward(pairs: Sequence[tuple[str, str]], base: str) -> Rules:
    """Returns the same rules with errors and gradients in float32."""
    exact = dict.fromkeys(f"k_{letter}" for letter in BACKWARD)
    changed = [(pattern, merged(name, exact)) for pattern, name in pairs]
    return rules_of(changed, merged(base, exact))


def _by_layer(findings: Sequence[Finding], letters: Sequence[str]) -> dict[str, float]:
    costs: dict[str, float] = {}
    for one in findings:
        if one.letter in letters:
            costs[one.layer] = costs.get(one.layer, 0.0) + max(one.cost, 0.0)
    return costs


def _rest(costs: Mapping[str, float], lifted: Sequence[str]) -> float:
    return sum(cost for name, cost in costs.items() if name not in lifted)
