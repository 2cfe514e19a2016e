"""Policies, rules and presets: what each names, and what is refused with which words."""

import dataclasses
import json
import re

import pytest

from tfquantseg.numerics import Scaled, Uniform
from tfquantseg.policy import (
    FLOAT,
    INTEGER,
    PAPER_FCN,
    Policy,
    Rules,
    UpdateRule,
    preset,
    presets,
)

BITS = [field.name for field in dataclasses.fields(Policy) if field.name.startswith("k_")]
WORDS = {
    "A_at": ("conv_inputs", "every_tensor"),
    "E2_at": ("x_hat", "conv_output"),
    "G_at": ("tape", "optimizer"),
    "step": ("max/128", "max/127"),
    "rounding": ("half_up", "half_away", "half_even"),
    "scale": ("max", "power_of_two"),
    "A_grid": ("scaled", "unit"),
    "E1_clip": ("1-D", "1"),
    "G_clip": ("1-D", "none"),
    "bias": ("kept", "dropped"),
    "norm": ("l1", "l2"),
    "decay": ("in_G", "off"),
    "W_limit": ("per_tensor", "per_channel"),
    "bias_limit": ("fit",),
    "BN_limit": ("fit",),
}


# Fields.


@pytest.mark.parametrize("field", BITS)
@pytest.mark.parametrize("bits", [1, 0, -8, 25, 8.0, True, "8"])
def test_bits_that_no_grid_has(field, bits):
    with pytest.raises(ValueError, match=rf"'INTEGER'.*{field}.*received {bits!r}"):
        dataclasses.replace(INTEGER, **{field: bits})


@pytest.mark.parametrize("field", BITS)
@pytest.mark.parametrize("bits", [2, 22])
def test_bits_that_every_grid_has(field, bits):
    assert getattr(dataclasses.replace(INTEGER, **{field: bits}), field) == bits


@pytest.mark.parametrize("field", ["k_V", "k_lr"])
def test_velocity_and_learning_rate_have_no_float_choice(field):
    with pytest.raises(ValueError, match=rf"'INTEGER'.*{field}.*received None"):
        dataclasses.replace(INTEGER, **{field: None})


@pytest.mark.parametrize("bits", [23, 24])
def test_stochastic_gradients_have_at_most_22_bits(bits):
    with pytest.raises(ValueError, match=rf"'INTEGER'.*k_G.*2 to 22, received {bits}"):
        dataclasses.replace(INTEGER, k_G=bits)


@pytest.mark.parametrize("field", WORDS)
def test_a_choice_is_one_of_its_words(field):
    for word in WORDS[field]:
        assert getattr(dataclasses.replace(INTEGER, **{field: word}), field) == word
    wrong = WORDS[field][-1] + "s"
    with pytest.raises(ValueError) as caught:
        dataclasses.replace(INTEGER, **{field: wrong})
    message = str(caught.value)
    for said in ("'INTEGER'", field, repr(wrong), *WORDS[field], f"mean {WORDS[field][-1]!r}?"):
        assert said in message


def test_a_word_that_resembles_none_has_no_suggestion():
    with pytest.raises(ValueError) as caught:
        dataclasses.replace(INTEGER, norm="zzz")
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("field", ["W_limit", "bias_limit", "BN_limit"])
@pytest.mark.parametrize("limit", [3.0, 0.0, -1.0, float("inf"), float("nan")])
def test_a_fixed_limit_is_a_power_of_two(field, limit):
    with pytest.raises(ValueError, match=rf"'INTEGER'.*{field}.*power of two.*{limit}"):
        dataclasses.replace(INTEGER, **{field: limit})


@pytest.mark.parametrize("field", ["W_limit", "bias_limit", "BN_limit"])
@pytest.mark.parametrize("limit", [0.25, 1.0, 16.0])
def test_fixed_limits(field, limit):
    assert getattr(dataclasses.replace(INTEGER, **{field: limit}), field) == limit


# Files.


@pytest.mark.parametrize("name", presets())
def test_a_policy_comes_back_from_a_file(name):
    policy = preset(name)
    assert Policy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy


def test_an_unknown_field_is_named_with_the_nearest():
    with pytest.raises(ValueError, match=r"no field 'k_e1' \(did you mean 'k_E1'\?\)"):
        Policy.from_dict({**INTEGER.to_dict(), "k_e1": 8})


def test_a_missing_field_is_named():
    fields = INTEGER.to_dict()
    del fields["k_E1"]
    with pytest.raises(ValueError, match="k_E1"):
        Policy.from_dict(fields)


# Presets.


def test_presets_by_name():
    assert presets() == (
        "FLOAT",
        "INTEGER",
        "PAPER_FCN",
        "PAPER_DEEPLAB",
        "PAPER_DEEPLAB_L2",
        "PAPER_DEEPLAB_E8",
        "PAPER_DEEPLAB_E8_L2",
        "AUTHORS_FCN",
        "AUTHORS_DEEPLAB",
    )
    assert [preset(name).name for name in presets()] == list(presets())
    assert (preset("FLOAT"), preset("INTEGER"), preset("PAPER_FCN")) == (FLOAT, INTEGER, PAPER_FCN)


def test_an_unknown_preset_is_an_error_with_the_nearest():
    expected = r"'INTEGRE' \(did you mean 'INTEGER'\?\); there are FLOAT, INTEGER, PAPER_FCN"
    with pytest.raises(ValueError, match=expected):
        preset("INTEGRE")


def test_float_has_no_grids():
    assert FLOAT.is_float
    grids = (FLOAT.A(), FLOAT.E1(), FLOAT.E2(), FLOAT.G(), FLOAT.x_hat(), FLOAT.W(1.0, -1))
    assert grids == (None,) * 6
    assert FLOAT.update_rule(1.0, -1, decays=True) is None
    assert {getattr(FLOAT, k) for k in ("k_mu", "k_sigma", "k_gamma", "k_beta")} == {None}


@pytest.mark.parametrize("field", ["k_W", "k_A", "k_E1", "k_E2", "k_G", "k_U"])
def test_one_object_on_a_grid_makes_a_policy_not_float(field):
    assert not dataclasses.replace(FLOAT, **{field: 8}).is_float


def test_paper_fcn_is_the_letter_of_the_paper():
    assert not PAPER_FCN.is_float
    # Section IV: k_W = k_A = k_E1 = k_G = 8, k_U = 24, Eq 18; Eq 4's step; limits 1 and 2.
    assert PAPER_FCN.W(1.0, 3) == Uniform(8, 1.0, "half_up", 3)
    assert PAPER_FCN.A() == PAPER_FCN.E1() == PAPER_FCN.E2() == Scaled(8, step="max/128")
    assert PAPER_FCN.G() == Scaled(8, step="max/128", stochastic=True, rescale=False)
    assert PAPER_FCN.x_hat() == Scaled(16, step="max/128")
    assert PAPER_FCN.batch_norm(PAPER_FCN.k_mu, 2.0) == Uniform(16, 2.0)
    assert PAPER_FCN.batch_norm(PAPER_FCN.k_sigma, 2.0) == Uniform(16, 2.0)
    assert PAPER_FCN.batch_norm(PAPER_FCN.k_gamma, 2.0) == Uniform(8, 2.0)
    assert PAPER_FCN.batch_norm(PAPER_FCN.k_beta, 2.0) == Uniform(8, 2.0)
    assert (PAPER_FCN.W_limit, PAPER_FCN.bias_limit, PAPER_FCN.BN_limit) == (1.0, 1.0, 2.0)
    assert (PAPER_FCN.A_at, PAPER_FCN.E2_at, PAPER_FCN.norm) == ("conv_inputs", "x_hat", "l1")


def test_integer_is_the_table_of_the_design():
    assert not INTEGER.is_float
    eight = Scaled(8, step="max/127", rounding="half_away")
    assert INTEGER.A() == INTEGER.E1() == INTEGER.E2() == eight
    assert INTEGER.G() == Scaled(8, step="max/127", stochastic=True)
    assert INTEGER.W((1.0, 0.5), 3) == Uniform(8, (1.0, 0.5), "half_away", 3)
    assert INTEGER.x_hat() is None
    for k, bits in {"k_mu": 16, "k_sigma": 16, "k_gamma": 8, "k_beta": 8}.items():
        grid = INTEGER.batch_norm(getattr(INTEGER, k), 4.0)
        assert grid == Uniform(bits, 4.0, "half_away")
    words = ("A_at", "E2_at", "G_at", "W_limit", "bias_limit", "BN_limit", "norm", "decay")
    assert [getattr(INTEGER, word) for word in words] == [
        "every_tensor",
        "conv_output",
        "optimizer",
        "per_channel",
        "fit",
        "fit",
        "l1",
        "in_G",
    ]


def differences(name, other):
    """The fields, but for the name, in which a preset differs from another."""
    mine, theirs = preset(name).to_dict(), preset(other).to_dict()
    return {key: mine[key] for key in mine if mine[key] != theirs[key] and key != "name"}


def test_paper_deeplab_keeps_the_gradients_scale_and_has_16_bit_errors_in_batch_norm():
    # Section V-A: k_E2 = 16; Table II: Eq 17, 65.21 %, against 64.13 % by Eq 18.
    assert differences("PAPER_DEEPLAB", "PAPER_FCN") == {"k_E2": 16, "G_rescale": True}
    # Table I.
    assert differences("PAPER_DEEPLAB_L2", "PAPER_DEEPLAB") == {"norm": "l2"}
    assert differences("PAPER_DEEPLAB_E8", "PAPER_DEEPLAB") == {"k_E2": 8}
    assert differences("PAPER_DEEPLAB_E8_L2", "PAPER_DEEPLAB") == {"k_E2": 8, "norm": "l2"}


def test_the_authors_code_differs_from_their_paper():
    assert differences("AUTHORS_DEEPLAB", "PAPER_DEEPLAB") == {
        "k_x_hat": 8,
        "E2_at": "conv_output",
        "G_gain": 0.1,
        "rounding": "half_even",
        "decay": "off",
        "bias": "dropped",
    }
    assert differences("AUTHORS_FCN", "PAPER_FCN") == {
        "scale": "power_of_two",
        "A_grid": "unit",
        "E1_clip": "1",
        "G_clip": "none",
        "G_gain": 1 / 128,
        "rounding": "half_even",
        "decay": "off",
        "bias": "dropped",
    }
    fcn = preset("AUTHORS_FCN")
    assert fcn.A() == Scaled(8, rounding="half_even", scale="one", clip="none")
    assert fcn.E1() == Scaled(8, rounding="half_even", scale="power_of_two", clip="1")
    assert fcn.E2() == Scaled(8, rounding="half_even", scale="power_of_two")
    assert fcn.G() == Scaled(
        8, stochastic=True, rescale=False, scale="power_of_two", clip="none", gain=1 / 128
    )


def test_a_table_says_where_the_authors_differ():
    table = str(preset("AUTHORS_FCN"))
    assert "A           8  step 2^(1 - k), not clipped, at conv_inputs" in table
    assert "E1          8  step max/128, max a power of two, clipped at 1" in table
    assert "scale dropped, Eq 18, times 0.0078125, not clipped, in the optimizer" in table
    assert "bias       24  dropped" in table


# Update rules.


def test_update_rule_of_one_limit():
    rule = INTEGER.update_rule(4.0, -1, decays=True)
    assert rule == UpdateRule(
        G=INTEGER.G(),
        U=Uniform(24, 4.0, "half_away", -1),
        V=Uniform(24, 0.25, "half_away", -1),  # a velocity reaches one sixteenth of the limit
        k_lr=24,
        decays=True,
    )


def test_update_rule_of_limits_per_channel():
    rule = INTEGER.update_rule((1.0, 32.0), (2, 3), decays=False)
    assert rule == UpdateRule(
        G=INTEGER.G(),
        U=Uniform(24, (1.0, 32.0), "half_away", (2, 3)),
        V=Uniform(24, (0.0625, 2.0), "half_away", (2, 3)),
        k_lr=24,
        decays=False,
    )


def test_a_gradient_quantized_in_the_tape_is_not_quantized_again():
    in_tape = dataclasses.replace(INTEGER, G_at="tape")
    assert in_tape.update_rule(1.0, -1, decays=True).G is None
    assert in_tape.G() == INTEGER.G()


def test_decay_off_decays_nothing():
    assert not dataclasses.replace(INTEGER, decay="off").update_rule(1.0, -1, decays=True).decays


# Rules.


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
