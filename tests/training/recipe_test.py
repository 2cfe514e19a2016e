"""Keys of a config, and where two configs differ."""

import copy
from typing import Any

import pytest

from tests.training.tiny import config
from tfquantseg.training import recipe


def test_a_complete_config_is_accepted() -> None:
    recipe.check(config())


def test_plain_is_what_json_gives_back() -> None:
    plain = recipe.plain(config())
    assert plain["data"]["size"] == [64, 64]
    assert plain["optimizer"] == {
        "learning_rate": 2.0**-5,
        "momentum": 0.875,
        "decay": 2.0**-10,
        "boundaries": [30],
        "warmup": [],
        "factors": [],
    }


def test_an_unknown_key_names_the_nearest() -> None:
    wrong = config()
    wrong.optimizer.momentun = 0.5
    with pytest.raises(ValueError, match=r"'config.optimizer.momentun'. Did you mean 'config.opti"):
        recipe.check(wrong)


def test_a_key_in_the_wrong_place_names_the_right_one() -> None:
    error = recipe.unknown_key("learning_rate", recipe.KEYS)
    assert "Did you mean 'config.optimizer.learning_rate'?" in str(error)


def test_an_unknown_key_lists_its_siblings_only() -> None:
    error = recipe.unknown_key("optimizer.lr", recipe.KEYS)
    assert str(error).endswith(
        "Accepted: optimizer.boundaries, optimizer.decay, optimizer.factors, "
        "optimizer.learning_rate, optimizer.momentum, optimizer.warmup."
    )


def test_a_missing_key_is_named() -> None:
    wrong = config()
    del wrong.data.fit
    with pytest.raises(ValueError, match=r"no key 'data.fit'"):
        recipe.check(wrong)


def test_keys_that_came_later_get_what_runs_did_before() -> None:
    older = recipe.plain(config())
    del older["class_balance"], older["optimizer"]["warmup"]
    kept = copy.deepcopy(older)
    completed = recipe.completed(older)
    assert completed == recipe.plain(config()) and older == kept
    assert recipe.completed({"optimizer": 3}) == {"optimizer": 3, "class_balance": 0.0}


def test_keys_of_model_and_data_options_are_free() -> None:
    free = config()
    free.model.args.anything = 1
    free.data.options.anything = 2
    recipe.check(free)


@pytest.mark.parametrize(
    ("key", "value"),
    [("steps", 0), ("seed", -1), ("seed", 2**32), ("keep", 0), ("evaluate_every", True)],
)
def test_numbers_out_of_range_are_named(key: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"config.{key} is {value!r}; accepted are integers from"):
        recipe.check(config(**{key: value}))


@pytest.mark.parametrize(
    ("part", "key", "value", "message"),
    [
        ("data", "size", (64,), r"is \[64\]; accepted is \(height, width\)"),
        ("data", "size", (64, 64.0), r"is \[64, 64.0\]; accepted is .* integers"),
        ("data", "flip", 1, "is 1; accepted are True and False"),
        ("data", "train", "", "is ''; accepted are strings"),
        ("optimizer", "boundaries", (3, 4.5), r"is \[3, 4.5\]; accepted are integers"),
        ("optimizer", "factors", (("fc.*", 0),), r"is .*; accepted are pairs"),
        ("optimizer", "factors", ("fc.*", 8.0), r"is .*; accepted are pairs"),
        ("optimizer", "factors", (("fc.*", 8.0, -1),), r"is .*; accepted are pairs .* from 0"),
        ("optimizer", "warmup", ("3",), r"is \['3'\]; accepted are integers"),
        ("optimizer", "learning_rate", float("inf"), "is inf; accepted are finite numbers"),
        ("optimizer", "decay", "0.1", "is '0.1'; accepted are finite numbers"),
        ("model", "args", 3, "is 3; accepted is a ConfigDict"),
    ],
)
def test_values_of_another_type_are_named(part: str, key: str, value: Any, message: str) -> None:
    wrong = config()
    with wrong.ignore_type():
        wrong[part][key] = value
    with pytest.raises(ValueError, match=f"config.{part}.{key} {message}"):
        recipe.check(wrong)


@pytest.mark.parametrize("balance", [-0.5, 1.5, "1"])
def test_a_class_balance_is_from_0_to_1(balance: Any) -> None:
    wrong = config()
    with wrong.ignore_type():
        wrong.class_balance = balance
    with pytest.raises(ValueError, match=f"class_balance is {balance!r}; accepted are numbers 0"):
        recipe.check(wrong)


@pytest.mark.parametrize("rules", [("stem", "INTEGER"), (("stem",),), (("stem", 8),)])
def test_rules_must_be_pairs_of_strings(rules: Any) -> None:
    with pytest.raises(ValueError, match=r"config.rules is .*; accepted are pairs of strings"):
        recipe.check(config(rules=rules))


def test_classes_come_from_the_data_set() -> None:
    wrong = config()
    wrong.model.args.classes = 3
    with pytest.raises(ValueError, match="'classes', which comes from the data set"):
        recipe.check(wrong)


def test_numbers_of_the_free_parts_must_be_finite() -> None:
    wrong = config()
    wrong.model.args.dropout = float("nan")
    with pytest.raises(ValueError, match=r"config.model.args holds a number that is not finite"):
        recipe.check(wrong)


def test_what_json_does_not_know_is_refused() -> None:
    wrong = config()
    wrong.data.options.seed = object()
    with pytest.raises(ValueError, match=r"what JSON does not know \(Object of type object"):
        recipe.plain(wrong)


def test_equal_configs_have_no_difference() -> None:
    assert not list(recipe.differences(recipe.plain(config()), recipe.plain(config())))


def test_every_difference_has_its_whole_key() -> None:
    other = config()
    other.optimizer.boundaries = (31,)
    other.steps = 41
    found = recipe.differences(recipe.plain(config()), recipe.plain(other))
    assert list(found) == [("optimizer.boundaries", [30], [31]), ("steps", 40, 41)]


def test_a_key_that_only_one_has_differs() -> None:
    (one,) = recipe.differences({"a": 1}, {})
    assert str(one) == "Difference(key='a', first=1, second=absent)"
    (other,) = recipe.differences({}, {"b": {"c": 1}}, "model")
    assert other.key == "model.b"


def test_lists_of_trees_differ_entry_by_entry_and_others_as_a_whole() -> None:
    layers = [{"name": "a", "size": [3, 3]}, {"name": "b", "size": [3, 3]}]
    other = [layers[0], {"name": "b", "size": [5, 3]}]
    assert list(recipe.differences(layers, other)) == [("1.size", [3, 3], [5, 3])]
    assert list(recipe.differences({"a": [1]}, {"a": [1, 2]})) == [("a", [1], [1, 2])]
    assert list(recipe.differences([{"b": 1}], [])) == [("", [{"b": 1}], [])]
