"""Policies: what each field accepts, what each grid is, and what is refused with which words."""

import dataclasses
import json

import numpy as np
import pytest

from tfquantseg.numerics import Scaled, Uniform
from tfquantseg.policy import ADDED, INTEGER, Policy, UpdateRule, preset, presets

BITS = [field.name for field in dataclasses.fields(Policy) if field.name.startswith("k_")]
WORDS = {
    "A_at": ("conv_inputs", "every_tensor"),
    "E2_at": ("x_hat", "conv_output"),
    "G_at": ("tape", "optimizer"),
    "step": ("max/128", "max/127"),
    "E_rounding": ("nearest", "stochastic"),
    "rounding": ("half_up", "half_away", "half_even"),
    "scale": ("max", "power_of_two"),
    "A_scale": ("max", "percentile", "moments"),
    "E_scale": ("per_tensor", "per_channel"),
    "E_grid": ("uniform", "flag"),
    "A_sign": ("signed", "unsigned_after_relu"),
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


@pytest.mark.parametrize("field", BITS)
@pytest.mark.parametrize("bits", [1, 0, -8, 25, 8.0, True, "8"])
def test_bits_that_no_grid_has(field, bits):
    with pytest.raises(ValueError, match=rf"'INTEGER'.*{field}.*received {bits!r}"):
        dataclasses.replace(INTEGER, **{field: bits})


@pytest.mark.parametrize("field", BITS)
@pytest.mark.parametrize("bits", [2, 22])
def test_bits_that_every_grid_has(field, bits):
    assert getattr(dataclasses.replace(INTEGER, **{field: bits}), field) == bits


def test_numbers_of_numpy_become_python_s():
    policy = dataclasses.replace(INTEGER, k_W=np.int64(4), W_limit=np.float64(2), G_gain=0.5)
    assert json.loads(json.dumps(policy.to_dict())) == policy.to_dict()  # as files need them


@pytest.mark.parametrize("field", ["k_V", "k_lr"])
def test_velocity_and_learning_rate_have_no_float_choice(field):
    with pytest.raises(ValueError, match=rf"'INTEGER'.*{field}.*received None"):
        dataclasses.replace(INTEGER, **{field: None})


@pytest.mark.parametrize("field", ["k_G", "k_E1", "k_E2"])
@pytest.mark.parametrize("bits", [23, 24])
def test_stochastic_gradients_and_errors_have_at_most_22_bits(field, bits):
    with pytest.raises(ValueError, match=rf"'INTEGER'.*{field}.*2 to 22, received {bits}"):
        dataclasses.replace(INTEGER, **{field: bits})


def test_errors_rounded_to_the_nearest_have_up_to_24_bits():
    policy = dataclasses.replace(INTEGER, E_rounding="nearest", k_E1=24)
    assert policy.E1() == Scaled(24, step="max/127", rounding="half_away")
    assert "step max/127, stochastic" in str(INTEGER) and "E1         24  step max/127\n" in str(
        policy
    )


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


def test_fields_of_before_an_idea_are_those_of_what_was_done_before():
    fields = INTEGER.to_dict()
    assert {name: fields.pop(name) for name in ADDED} == ADDED
    assert Policy.from_dict(fields) == INTEGER


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ("percentile", "step max/127, max the 99.99th percentile, at"),
        ("moments", "step max/127, max at most mean + 6 deviations, at"),
    ],
)
def test_the_scale_of_activations_is_in_the_table(choice, said):
    policy = INTEGER.changed(f"A_scale={choice}")
    assert said in str(policy) and said not in str(INTEGER)
    assert policy.A() == INTEGER.A()  # the grid is the same, what it is scaled by is not


def test_errors_with_a_flag_bit():
    policy = INTEGER.changed("E_grid=flag")
    assert policy.E1() == policy.E2() == dataclasses.replace(INTEGER.E1(), flag=True)
    assert "E2          8  step max/127, stochastic, flag bit, at conv_output" in str(policy)
    assert policy.A() == INTEGER.A() and policy.G() == INTEGER.G()
    with pytest.raises(ValueError, match="k_E2: with a flag bits must be from 2 to 12"):
        policy.changed("k_E2=16")


def test_errors_with_a_scale_a_channel():
    policy = INTEGER.changed("E_scale=per_channel")
    assert policy.E1() == policy.E2() == dataclasses.replace(INTEGER.E2(), per="channel")
    assert "step max/127, stochastic, one a channel\n" in str(policy)
    assert policy.A() == INTEGER.A() and policy.G() == INTEGER.G()


def test_activations_are_unsigned_only_where_nothing_is_negative():
    policy = INTEGER.changed("A_sign=unsigned_after_relu")
    assert policy.A() == INTEGER.A() == INTEGER.A(non_negative=True)
    assert policy.A(non_negative=True) == dataclasses.replace(INTEGER.A(), signed=False)
    assert "step max/127, unsigned after ReLU, at every_tensor" in str(policy)
    with pytest.raises(ValueError, match="A_sign 'unsigned_after_relu' with A_grid 'unit'"):
        policy.changed("A_grid=unit")


def test_a_grid_without_a_scale_takes_none():
    with pytest.raises(ValueError, match="A_scale 'moments' with A_grid 'unit', whose step is"):
        INTEGER.changed("A_grid=unit A_scale=moments")


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
@pytest.mark.parametrize("limit", [0.25, 1.0, 16.0, 4])
def test_fixed_limits(field, limit):
    kept = getattr(dataclasses.replace(INTEGER, **{field: limit}), field)
    assert kept == limit and isinstance(kept, float)  # layers tell one limit from many by its type


@pytest.mark.parametrize("field", ["W_limit", "bias_limit", "BN_limit"])
@pytest.mark.parametrize("limit", [(1.0, 2.0), True, None])
def test_a_policy_has_one_limit_for_all_layers(field, limit):
    with pytest.raises(ValueError, match=rf"{field} must be a power of two or one of"):
        dataclasses.replace(INTEGER, **{field: limit})


@pytest.mark.parametrize("name", ["", None, 8])
def test_a_name_is_text(name):
    with pytest.raises(ValueError, match=rf"a policy's name must be a string, received {name!r}"):
        dataclasses.replace(INTEGER, name=name)


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
    assert in_tape.update_rule(1.0, -1, decays=True, in_tape=True).G is None
    # Gamma's, say, which no layer quantizes in the tape.
    gamma = in_tape.update_rule(1.0, -1, decays=False)
    assert INTEGER.G() == gamma.G
    assert in_tape.G() == INTEGER.G()


def test_decay_off_decays_nothing():
    assert not dataclasses.replace(INTEGER, decay="off").update_rule(1.0, -1, decays=True).decays
