"""Presets: the letter of the paper, its authors' code, and the table of the design."""

import dataclasses

import pytest

from tfquantseg.numerics import Scaled, Uniform
from tfquantseg.policy import FLOAT, INTEGER, PAPER_FCN, preset, presets


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
    assert INTEGER.A() == eight
    # Measured to be better than the nearest: docs/design/errors.md.
    assert INTEGER.E1() == INTEGER.E2() == dataclasses.replace(eight, stochastic=True)
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


def test_a_preset_with_other_values_of_some_fields():
    changed = preset("INTEGER k_W=4 E1_clip=1 step=max/128 G_rescale=False k_mu=None W_limit=2")
    assert changed == dataclasses.replace(
        INTEGER,
        name="INTEGER k_W=4 E1_clip=1 step=max/128 G_rescale=False k_mu=None W_limit=2",
        k_W=4,
        E1_clip="1",
        step="max/128",
        G_rescale=False,
        k_mu=None,
        W_limit=2.0,
    )
    assert preset("INTEGER ") == INTEGER


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("INTEGER k_w=4", r"no field 'k_w' \(did you mean 'k_W'\?\)"),
        ("INTEGER k_W=1", r"'INTEGER k_W=1': k_W: bits must be .* received 1"),
        ("INTEGER k_W=4,", r"k_W: bits must be an integer from 2 to 24, received \(4,\)"),
        ("INTEGER norm=l3", r"norm must be one of l1, l2, received 'l3'"),
        ("INTEGER k_W", r"'k_W' is no change of a choice; write FIELD=VALUE, such as k_W=4"),
        ("INTEGER name=mine", r"'name=mine' is no change of a choice"),
        ("INTEGER k_W=4 k_W=8", r"k_W is changed twice"),
        ("integer k_W=4", r"no preset is called 'integer' \(did you mean 'INTEGER'\?\)"),
        (" ", r"no preset is called ''"),
    ],
)
def test_a_change_that_no_policy_has(text, message):
    with pytest.raises(ValueError, match=message):
        preset(text)
