"""What a sweep accepts, and what its runs are."""

import copy
import re
from typing import Any

import pytest

from tests.sweep.made import described
from tests.training import tiny
from tfquantseg.sweep.description import bases_of, key_of, sweep_of

FLOAT = {"name": "FLOAT", "changes": {"policy": "FLOAT"}}


def test_each_variant_is_trained_with_each_seed() -> None:
    sweep = sweep_of("mine", described(), {"tiny": tiny.config()})
    assert [run.name for run in sweep.runs] == [
        "FLOAT, seed 0", "INTEGER, seed 0", "FLOAT, seed 1", "INTEGER, seed 1",
    ]  # fmt: skip
    assert sweep.baselines == {"FLOAT": "FLOAT", "INTEGER": "FLOAT"}
    assert [(run.config["policy"], run.config["seed"]) for run in sweep.runs] == [
        ("FLOAT", 0), ("INTEGER", 0), ("FLOAT", 1), ("INTEGER", 1),
    ]  # fmt: skip
    assert sweep.runs[0].config["model"] == {"name": "residual_unet", "args": {"width": 2}}
    assert [run.seed for run in sweep.only("INTEGER.*1")] == [1]


def test_changes_reach_parts_and_free_keys() -> None:
    changes = {"optimizer.boundaries": (3, 4), "model.args.width": 4, "steps": 9}
    variants = ({"name": "one", "changes": changes},)
    sweep = sweep_of("mine", described(variants=variants, baseline="one"), {"tiny": tiny.config()})
    config = sweep.runs[0].config
    assert config["optimizer"]["boundaries"] == [3, 4]
    assert (config["model"]["args"]["width"], config["steps"]) == (4, 9)


def test_a_variant_may_have_a_recipe_of_its_own() -> None:
    variants = (FLOAT, {"name": "longer", "base": "long", "changes": {}})
    description = described(variants=variants)
    assert bases_of("mine", description) == ("tiny", "long")
    bases = {"tiny": tiny.config(), "long": tiny.config(steps=50)}
    sweep = sweep_of("mine", description, bases)
    assert [run.config["steps"] for run in sweep.runs] == [40, 50, 40, 50]


def test_a_key_is_that_of_the_exact_configuration() -> None:
    config = sweep_of("mine", described(), {"tiny": tiny.config()}).runs[0].config
    other = copy.deepcopy(config)
    assert key_of(other) == key_of(config)
    other["optimizer"]["momentum"] = 0.5
    assert key_of(other) != key_of(config)
    # A key that came later says what was done before: such a row is still of the same run.
    older = copy.deepcopy(config)
    del older["optimizer"]["warmup"]
    assert key_of(older) == key_of(config)
    assert re.fullmatch("[0-9a-f]{12}", key_of(config))


def test_names_do_not_matter_to_a_key() -> None:
    first = sweep_of("mine", described(), {"tiny": tiny.config()}).runs[0]
    variants = ({"name": "base", "changes": {"rules": ()}},)
    again = sweep_of(
        "other", described(variants=variants, baseline="base"), {"tiny": tiny.config()}
    ).runs[0]
    assert first.key == again.key


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sedes": (0,)}, "Unknown key of sweep 'mine' 'sedes'.*Did you mean 'seeds'"),
        ({"seeds": (0, 0)}, r"seeds is \[0, 0\]; accepted: different integers"),
        ({"seeds": ()}, r"seeds is \(\); accepted: a tuple of at least one"),
        ({"seeds": 3}, "seeds is 3; accepted: a tuple of at least one"),
        ({"seeds": ("one",)}, "config.seed is 'one'"),
        ({"scores": "miou"}, "scores is 'miou'; accepted: a tuple"),
        ({"seeds": (-1,)}, "config.seed is -1"),
        ({"scores": ("mIoU",)}, "Unknown score of sweep 'mine' 'mIoU'.*Did you mean 'miou'"),
        ({"scores": ()}, "scores is"),
        ({"baseline": "FLAOT"}, "Unknown baseline of sweep 'mine' 'FLAOT'.*Did you mean 'FLOAT'"),
        ({"variants": ()}, "variants is"),
        ({"variants": ({**FLOAT, "base": 3},)}, "a variant's base is 3"),
        ({"variants": (FLOAT, FLOAT)}, "variants of different names"),
        ({"variants": ({**FLOAT, "name": "a|b"},)}, r"name is 'a\|b'; accepted: one line of a tab"),
        ({"variants": ({**FLOAT, "name": "a\nb"},)}, "accepted: one line of a table"),
        ({"variants": ("FLOAT",)}, "dicts such as"),
        ({"variants": ({**FLOAT, "change": 1},)}, "Unknown key of a variant.*'change'"),
        ({"variants": ({**FLOAT, "changes": {"polcy": "INTEGER"}},)}, "config.polcy.*policy"),
        ({"variants": ({**FLOAT, "changes": {"steps": 0}},)}, "variant FLOAT: config.steps is 0"),
        ({"variants": ({**FLOAT, "changes": {"seed": 1}},)}, "give the seeds as seeds"),
        ({"variants": ({**FLOAT, "changes": 3},)}, "changes is 3"),
        ({"variants": ({**FLOAT, "changes": {1: 2}},)}, "a key of changes is 1"),
        (
            {"variants": ({**FLOAT, "changes": {"model.args.width.x": 3}},)},
            "'model.args.width.x' can't be changed: the recipe has no part 'width' there",
        ),
        (
            {"variants": ({**FLOAT, "changes": {"data.options.a.b": 3}},)},
            "'data.options.a.b' can't be changed: the recipe has no part 'a' there",
        ),
        ({"scores": (1,)}, "a score is 1; accepted: miou, "),
        ({"scores": (["miou"],)}, r"a score is \['miou'\]; accepted: miou, "),
        (
            {"variants": (FLOAT, {**FLOAT, "name": "again"})},
            "variants 'FLOAT' and 'again' are the same configuration",
        ),
    ],
)
def test_what_is_not_accepted_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sweep_of("mine", described(**changes), {"tiny": tiny.config()})


def test_a_base_that_is_a_sweep() -> None:
    with pytest.raises(ValueError, match="base is 'tiny'; accepted: a recipe; this is a sweep"):
        sweep_of("mine", described(), {"tiny": described()})


def test_a_missing_key_and_no_sweep_at_all() -> None:
    description = described()
    del description.seeds
    with pytest.raises(ValueError, match="Sweep 'mine' has no key 'seeds'"):
        bases_of("mine", description)
    with pytest.raises(ValueError, match=r"get_config\(\) returns dict"):
        bases_of("mine", {})


@pytest.mark.parametrize(
    ("only", "message"),
    [("seed 7", "is found in no run of 'mine': FLOAT, seed 0;"), ("(", "not a regular expression")],
)
def test_only_what_is_found(only: str, message: str) -> None:
    sweep = sweep_of("mine", described(), {"tiny": tiny.config()})
    with pytest.raises(ValueError, match=message):
        sweep.only(only)
