"""Rules: which policy a layer takes, and rules that cannot be meant."""

import re

import pytest

from tfquantseg.policy import FLOAT, INTEGER, PAPER_FCN, Rules


def test_the_first_rule_that_matches_wins():
    rules = Rules((("score_.*", FLOAT), ("score_1|conv1", PAPER_FCN), (".*", INTEGER)))
    assert rules.policy_for("score_1") is FLOAT
    assert rules.policy_for("conv1") is PAPER_FCN
    assert rules.policy_for("conv2") is INTEGER
    rules.check_used(["score_1", "conv1", "conv2"])


def test_a_pattern_matches_the_whole_name():
    rules = Rules((("conv1", FLOAT), (".*", INTEGER)))
    assert rules.policy_for("conv1_2") is INTEGER
    assert rules.policy_for("my_conv1") is INTEGER


def test_a_lone_policy_is_the_rule_for_every_layer():
    assert Rules.of(INTEGER) == Rules(((".*", INTEGER),))
    rules = Rules((("a", FLOAT),))
    assert Rules.of(rules) is rules


def test_a_layer_that_no_rule_matches():
    expected = r"no rule matches layer 'conv3' \(rules: conv1, conv2\); end .*'\.\*'"
    with pytest.raises(ValueError, match=expected):
        Rules((("conv1", FLOAT), ("conv2", INTEGER))).policy_for("conv3")


def test_an_unused_rule_is_an_error_with_the_nearest_layer():
    rules = Rules((("scroe_1", FLOAT), (".*", INTEGER)))
    expected = re.escape("'scroe_1' -> FLOAT matches no layer (did you mean 'score_1'?)")
    with pytest.raises(ValueError, match=expected):
        rules.check_used(["conv_1", "score_1"])


def test_a_shadowed_rule_is_an_error_with_the_rules_before_it():
    rules = Rules((("score_.*", FLOAT), ("conv.*", INTEGER), ("score_1|conv1", PAPER_FCN)))
    with pytest.raises(ValueError, match=r"'score_1\|conv1' -> PAPER_FCN is never the first") as e:
        rules.check_used(["conv1", "score_1"])
    assert "(score_.*, conv.*)" in str(e.value)


def test_a_rule_that_is_shadowed_in_part_is_used():
    Rules((("score_.*", FLOAT), (".*", INTEGER))).check_used(["conv1", "score_1"])


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ((), "rules are empty"),
        ((("conv(", INTEGER),), r"'conv\(' is not a regular expression"),
    ],
)
def test_rules_that_are_none(rules, expected):
    with pytest.raises(ValueError, match=expected):
        Rules(rules)
