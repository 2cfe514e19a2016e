"""Which layers are lifted, and the rules that say so."""

import ast
import itertools

import pytest

from tests.analysis import small_float
from tfquantseg.analysis import mixed_bits, sensitivity
from tfquantseg.analysis.sensitivity import Finding, Object
from tfquantseg.policy import preset
from tfquantseg.transform import quantize

OBJECTS = tuple(
    Object(layer=layer, letter=letter, by=by)
    for layer, letter, by in (
        ("a", "W", ("a",)),
        ("b", "W", ("b",)),
        ("b.relu", "A", ("b.relu", "c.relu")),
        ("a", "E2", ("a",)),
        ("a", "G", ("a",)),
        ("b", "E2", ("b",)),
    )
)
FINDINGS = (
    Finding("a", "W", loss=0.3),
    Finding("b", "W", loss=-0.1),
    Finding("b.relu", "A", loss=0.2),
    Finding("a", "E2", lost=0.01),
    Finding("a", "G", lost=0.02),
    Finding("b", "E2", lost=0.04),
)
BASE = "INTEGER k_W=4 k_A=4 norm=l2"


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (1.0, ()),
        (0.61, ()),
        (0.5, ("a",)),
        (0.31, ("a",)),
        (0.2, ("a", "b")),
        (0.0, ("a", "b", "c")),
    ],
)
def test_the_fewest_are_the_costliest(budget: float, expected: tuple[str, ...]) -> None:
    costs = {"c": 0.1, "a": 0.3, "d": -0.5, "b": 0.2}
    chosen = mixed_bits.fewest(costs, budget)
    assert chosen == expected

    def fits(names: tuple[str, ...]) -> bool:
        left = sum(max(cost, 0) for name, cost in costs.items() if name not in names)
        return left <= budget + 1e-12  # float sums

    assert fits(chosen)
    if chosen:
        assert not any(fits(names) for names in itertools.combinations(costs, len(chosen) - 1))


def propose(loss: float, lost: float, better: str = "INTEGER") -> mixed_bits.Proposal:
    return mixed_bits.propose(
        FINDINGS, OBJECTS, base=BASE, better=preset(better), loss=loss, lost=lost
    )


def test_layers_are_lifted_forward_and_backward_apart() -> None:
    found = propose(loss=0.25, lost=0.03)
    assert (found.forward, found.backward) == (("a",), ("b",))
    assert found.loss == pytest.approx(0.2)
    assert found.lost == pytest.approx(0.03)
    assert found.pairs == (
        ("a", "INTEGER k_W=8 k_A=4 norm=l2"),
        ("b", "INTEGER k_W=4 k_A=4 norm=l2 k_E2=8"),
    )


def test_tensors_on_one_step_are_lifted_together() -> None:
    found = propose(loss=0.0, lost=1.0, better="FLOAT")
    assert found.forward == ("a", "b.relu")
    assert dict(found.pairs)[r"c\.relu"] == "INTEGER k_W=4 k_A=None norm=l2"
    assert found.rules().policy_for("b.relu").k_A is None
    assert found.rules().policy_for("b-relu").k_A == 4


def test_the_text_is_what_a_recipe_takes() -> None:
    found = propose(loss=0.0, lost=0.0)
    assert ast.literal_eval(found.text()) == found.pairs
    nothing = propose(loss=1.0, lost=1.0)
    assert (nothing.pairs, ast.literal_eval(nothing.text())) == ((), ())
    assert nothing.rules().policy_for("a") == preset(BASE)


def test_rules_of_a_network_are_all_used() -> None:
    model, base = small_float.model(), "INTEGER k_W=4 k_A=4"
    objects = sensitivity.objects(model, preset(base))[1]
    findings = [
        Finding(one.layer, one.letter, loss=1.0)
        if one.letter in sensitivity.FORWARD
        else Finding(one.layer, one.letter, lost=1.0)
        for one in objects
    ]
    found = mixed_bits.propose(
        findings, objects, base=base, better=preset("INTEGER"), loss=0.0, lost=0.0
    )
    quantized = quantize(model, found.rules())
    for name in ("stem", "middle", "logits"):
        assert quantized.get_layer(name).policy.k_W == 8
    # At 8 bits the image lies on its grid, at 4 it does not: its edge is lifted as well.
    assert quantized.get_layer("grid_A").fixed_scale == 1.0


def test_without_backward_leaves_the_forward_pass() -> None:
    rules = mixed_bits.without_backward((("a", "INTEGER k_W=4 k_E2=4"),), BASE)
    for layer, k_W in (("a", 4), ("b", 4)):
        policy = rules.policy_for(layer)
        assert (policy.k_W, policy.k_E1, policy.k_E2, policy.k_G) == (k_W, None, None, None)
    assert rules.policy_for("a").k_A == 8 and rules.policy_for("b").k_A == 4
