"""Rules: which policy each layer takes, by its name."""

import dataclasses
import re
from collections.abc import Iterable

from tfquantseg.names import did_you_mean
from tfquantseg.policy.policy import Policy
from tfquantseg.policy.presets import presets


@dataclasses.dataclass(frozen=True)
class Rules:
    """An ordered choice of policies by layer name; the first that matches wins.

    Example:
        >>> rules = Rules((("score_.*", preset("FLOAT")), (".*", preset("INTEGER"))))
        >>> rules.policy_for("conv1_1").name
        'INTEGER'

    Attributes:
        rules: pairs (regular expression that must match the whole layer name, policy).

    Raises:
        ValueError: no rules, or a pattern that is not a regular expression.
    """

    rules: tuple[tuple[str, Policy], ...]

    def __post_init__(self) -> None:
        """Checks the patterns."""
        if not self.rules:
            raise ValueError("rules are empty; give at least (('.*', policy),).")
        for pattern, policy in self.rules:
            if not isinstance(policy, Policy):
                raise ValueError(
                    f"rule {pattern!r} must name a Policy, received {policy!r}; a preset is "
                    f"preset(NAME) with NAME one of {', '.join(presets())}."
                )
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(
                    f"rule {pattern!r} is not a regular expression: {error}."
                ) from None

    @classmethod
    def of(cls, choice: "Policy | Rules") -> "Rules":
        """Returns rules, a lone policy becoming the rule for every layer."""
        if isinstance(choice, Policy):
            return cls(((".*", choice),))
        if not isinstance(choice, Rules):
            raise ValueError(
                f"rules must be a Policy or Rules, received {choice!r}; a preset is "
                f"preset(NAME) with NAME one of {', '.join(presets())}."
            )
        return choice

    def policy_for(self, layer: str) -> Policy:
        """Returns the policy of the first rule that matches this layer name.

        Raises:
            ValueError: no rule matches.
        """
        for pattern, policy in self.rules:
            if re.fullmatch(pattern, layer):
                return policy
        raise ValueError(
            f"no rule matches layer {layer!r} (rules: {', '.join(p for p, _ in self.rules)}); "
            "end the rules with ('.*', policy)."
        )

    def check_used(self, layers: Iterable[str]) -> None:
        """Raises ValueError if a rule is the first match of none of these layers."""
        layers = list(layers)
        for i, (pattern, policy) in enumerate(self.rules):
            mine = [name for name in layers if re.fullmatch(pattern, name)]
            if not mine:
                raise ValueError(
                    f"rule {pattern!r} -> {policy.name} matches no layer"
                    f"{did_you_mean(pattern, layers)}; remove it or mend its pattern."
                )
            earlier = [p for p, _ in self.rules[:i]]
            if all(any(re.fullmatch(p, name) for p in earlier) for name in mine):
                raise ValueError(
                    f"rule {pattern!r} -> {policy.name} is never the first match: the rules "
                    f"before it ({', '.join(earlier)}) take all of its layers; move it forward."
                )
