"""What a config must hold, and where two configs differ. Imports no TensorFlow.

A *recipe* is a file with a function `get_config()` that returns an `ml_collections.ConfigDict`;
configs/digits.py shows every key with its meaning. One that comes in variants names them in
`VARIANTS`, and `get_config(variant)` takes one, the first by default: configs/voc_deeplab.py.

`plain` turns a config into nested dicts and lists, the form in which a work directory and each
checkpoint keep it.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from tfquantseg.names import closest

FREE = ("model.args", "data.options")  # their keys belong to the model and to the data set
_LARGEST_SEED = 2**32 - 1  # of NumPy, which Keras hands it to


def _is_integer(least: int, most: float = math.inf) -> Callable[[Any], bool]:
    def accepts(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

    return accepts


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_list_of(accepts: Callable[[Any], bool], length: int | None = None) -> Callable[[Any], bool]:
    def accepts_all(value: Any) -> bool:
        right = isinstance(value, list) and (length is None or len(value) == length)
        return right and all(map(accepts, value))

    return accepts_all


def _is_factor(value: Any) -> bool:
    if not isinstance(value, list) or len(value) not in (2, 3):
        return False
    first_step = _is_integer(0)(value[2]) if len(value) == 3 else True
    return _is_text(value[0]) and _is_number(value[1]) and value[1] > 0 and first_step


def _is_finite(value: Any) -> bool:
    """Whether no number in a plain tree is infinite or NaN."""
    if isinstance(value, dict | list):
        return all(map(_is_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


_POSITIVE = (_is_integer(1), "are integers from 1")
_NUMBER = (_is_number, "are finite numbers")
_TEXT = (_is_text, "are strings that are not empty")
_DICT = (lambda value: isinstance(value, dict), "is a ConfigDict of keyword arguments")
_ACCEPTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "policy": _TEXT,
    "rules": (
        _is_list_of(_is_list_of(_is_text, 2)),
        "are pairs of strings, ((layer-name pattern, preset), ...)",
    ),
    "model.name": _TEXT,
    "model.args": _DICT,
    "data.name": _TEXT,
    "data.train": _TEXT,
    "data.val": _TEXT,
    "data.options": _DICT,
    "data.size": (_is_list_of(_is_integer(1), 2), "is (height, width) in pixels, integers from 1"),
    "data.fit": _TEXT,
    "data.flip": (lambda value: isinstance(value, bool), "are True and False"),
    "data.multiple": _POSITIVE,
    "data.batch": _POSITIVE,
    "optimizer.learning_rate": _NUMBER,
    "optimizer.momentum": _NUMBER,
    "optimizer.decay": _NUMBER,
    "optimizer.boundaries": (_is_list_of(_is_integer(0)), "are integers from 0, (step, ...)"),
    "optimizer.warmup": (_is_list_of(_is_integer(0)), "are integers from 0, (step, ...)"),
    "optimizer.factors": (
        _is_list_of(_is_factor),
        "are pairs ((layer-name pattern, positive factor), ...), with the first step of learning, "
        "an integer from 0, as a third if wished",
    ),
    "loss": _TEXT,
    "class_balance": (lambda value: _is_number(value) and 0 <= value <= 1, "are numbers 0 to 1"),
    "steps": _POSITIVE,
    "seed": (_is_integer(0, _LARGEST_SEED), f"are integers from 0 to {_LARGEST_SEED}"),
    "evaluate_every": _POSITIVE,
    "checkpoint_every": _POSITIVE,
    "keep": _POSITIVE,
}
KEYS = tuple(_ACCEPTED)
_ADDED: dict[str, Any] = {
    "optimizer.warmup": [],
    "optimizer.factors": [],
    "class_balance": 0.0,
}
"""Keys that recipes have not always had, with what runs did before; a new key belongs here too."""


class Difference(NamedTuple):
    """A place where two configs differ; `absent` where one has no such key."""

    key: str
    first: Any
    second: Any


class _Absent:
    def __repr__(self) -> str:
        return "absent"


_ABSENT = _Absent()


def plain(config: ConfigDict) -> dict[str, Any]:
    """The config as JSON knows it: dicts, lists, strings, numbers, booleans and None.

    Raises:
        ValueError: It holds something else.
    """
    try:
        as_json: dict[str, Any] = json.loads(json.dumps(config.to_dict()))
    except TypeError as error:
        raise ValueError(
            f"The config holds what JSON does not know ({error}); accepted are strings, numbers, "
            "booleans, None, and tuples, lists and ConfigDicts of them."
        ) from error
    return as_json


def completed(saved: dict[str, Any]) -> dict[str, Any]:
    """A config that a run has saved, with the keys that did not exist then.

    They get the values that say what such a run did, so that work directories stay readable and can
    be gone on with.

    Args:
        saved: A plain config.

    Returns:
        A plain config; `saved` is left as it is.
    """
    whole = copy.deepcopy(saved)
    for key, value in _ADDED.items():
        *parents, last = key.split(".")
        part: Any = whole
        for name in parents:
            part = part.get(name) if isinstance(part, dict) else None
        if isinstance(part, dict):
            part.setdefault(last, copy.deepcopy(value))
    return whole


def check(config: ConfigDict) -> None:
    """Checks the keys of a config, and of its values what does not depend on anything else.

    Raises:
        ValueError: A key is not known or missing, or a value is of another type or out of range.
    """
    tree = plain(config)
    received = _keys(tree)
    for key in received:
        if key not in KEYS:
            raise unknown_key(key, KEYS)
    for key in KEYS:
        if key not in received:
            raise ValueError(f"The config has no key {key!r}; add it, as configs/digits.py does.")
    for key, (accepts, accepted) in _ACCEPTED.items():
        value = _get(tree, key)
        if not accepts(value):
            raise ValueError(f"config.{key} is {value!r}; accepted {accepted}.")
    if "classes" in tree["model"]["args"]:
        raise ValueError(
            "config.model.args has the key 'classes', which comes from the data set; leave it out."
        )
    for part in FREE:
        if not _is_finite(_get(tree, part)):
            raise ValueError(f"config.{part} holds a number that is not finite; change it.")


def unknown_key(received: str, accepted: Iterable[str]) -> ValueError:
    """Makes the error for a config key that does not exist: it names the nearest that does.

    Args:
        received: The dotted key.
        accepted: All dotted keys that exist.
    """
    known = sorted(accepted)
    parent, _, last = received.rpartition(".")
    siblings = [key for key in known if parent and key.rpartition(".")[0] == parent]
    # A right name in a wrong place is nearer than a similar one in the right place.
    same = [key for key in known if key.rpartition(".")[2] == last]
    meant = same[0] if same else closest(received, siblings or known)
    hint = f" Did you mean 'config.{meant}'?" if meant else ""
    names = ", ".join(siblings or known)
    return ValueError(f"Unknown config key 'config.{received}'.{hint} Accepted: {names}.")


def differences(first: Any, second: Any, key: str = "") -> Iterator[Difference]:
    """Where two plain trees differ, in the order of the first one.

    Lists of trees are compared entry by entry, other lists as a whole.

    Args:
        first: Dicts, lists and scalars, as `plain` makes them.
        second: The same.
        key: Where in a larger tree the two stand, as a dotted path.

    Yields:
        The dotted key and both values.
    """
    if isinstance(first, dict) and isinstance(second, dict):
        pairs = [(name, first.get(name, _ABSENT), second.get(name, _ABSENT)) for name in first]
        pairs += [(name, _ABSENT, second[name]) for name in second if name not in first]
    elif _are_lists_of_trees(first, second):
        pairs = [(str(i), a, b) for i, (a, b) in enumerate(zip(first, second, strict=True))]
    else:
        if first != second:
            yield Difference(key, first, second)
        return
    for name, a, b in pairs:
        yield from differences(a, b, f"{key}.{name}" if key else name)


def _are_lists_of_trees(first: Any, second: Any) -> bool:
    lists = isinstance(first, list) and isinstance(second, list) and len(first) == len(second)
    return lists and any(isinstance(entry, dict | list) for entry in (*first, *second))


def _keys(tree: dict[str, Any], prefix: str = "") -> list[str]:
    """All dotted keys down to the values; what is free to hold any key counts as one value."""
    keys: list[str] = []
    for name, value in tree.items():
        key = prefix + name
        if isinstance(value, dict) and key not in FREE:
            keys += _keys(value, key + ".")
        else:
            keys.append(key)
    return keys


def _get(tree: dict[str, Any], key: str) -> Any:
    value: Any = tree
    for name in key.split("."):
        value = value[name]
    return value
