"""What a config must hold, and where two configs differ. Imports no TensorFlow.

A *recipe* is a file with a function `get_config()` that returns an `ml_collections.ConfigDict`;
configs/digits.py shows every key with its meaning. `plain` turns it into nested dicts and lists,
the form in which a work directory and each checkpoint keep it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from tfquantseg.names import closest

_PARTS: dict[str, tuple[str, ...]] = {
    "model": ("name", "args"),
    "data": ("name", "train", "val", "options", "size", "fit", "flip", "multiple", "batch"),
    "optimizer": ("learning_rate", "momentum", "decay", "boundaries"),
}
_FREE = ("model.args", "data.options")  # their keys belong to the model and to the data set
KEYS = (
    "policy",
    "rules",
    *(f"{part}.{key}" for part, keys in _PARTS.items() for key in keys),
    "loss",
    "steps",
    "seed",
    "evaluate_every",
    "checkpoint_every",
    "keep",
)
_AT_LEAST = {
    "data.batch": 1,
    "data.multiple": 1,
    "steps": 1,
    "seed": 0,
    "evaluate_every": 1,
    "checkpoint_every": 1,
    "keep": 1,
}


class Difference(NamedTuple):
    """The first place where two configs differ; `absent` where one has no such key."""

    key: str
    first: Any
    second: Any


class _Absent:
    def __repr__(self) -> str:
        return "absent"


_ABSENT = _Absent()


def plain(config: ConfigDict) -> dict[str, Any]:
    """The config as JSON knows it: dicts, lists, strings, numbers and booleans."""
    as_json: dict[str, Any] = json.loads(json.dumps(config.to_dict()))
    return as_json


def check(config: ConfigDict) -> None:
    """Checks the keys of a config, and the numbers whose range does not depend on anything else.

    Raises:
        ValueError: A key is not known or missing, or a number is out of range.
    """
    received = _keys(plain(config))
    for key in received:
        if key not in KEYS:
            raise unknown_key(key, KEYS)
    for key in KEYS:
        if key not in received:
            raise ValueError(f"The config has no key {key!r}; add it, as configs/digits.py does.")
    for key, least in _AT_LEAST.items():
        value = _get(config, key)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"config.{key} is {value!r}; accepted are integers from {least}.")
    size = config.data.size
    if len(size) != 2 or min(size) < 1:
        raise ValueError(
            f"config.data.size is {tuple(size)}; accepted is (height, width) in pixels, from 1."
        )


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


def first_difference(first: Any, second: Any, key: str = "") -> Difference | None:
    """Where two plain trees differ first, in the order of the first one.

    Args:
        first: Dicts, lists and scalars, as `plain` makes them.
        second: The same.
        key: Where in a larger tree the two stand, as a dotted path.

    Returns:
        The dotted key and both values, or None when the two are equal.
    """
    if isinstance(first, dict) and isinstance(second, dict):
        pairs = [(name, first.get(name, _ABSENT), second.get(name, _ABSENT)) for name in first]
        pairs += [(name, _ABSENT, second[name]) for name in second if name not in first]
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        pairs = [(str(i), a, b) for i, (a, b) in enumerate(zip(first, second, strict=True))]
    else:
        return None if first == second else Difference(key, first, second)
    for name, a, b in pairs:
        found = first_difference(a, b, f"{key}.{name}" if key else name)
        if found:
            return found
    return None


def _keys(tree: dict[str, Any], prefix: str = "") -> list[str]:
    """All dotted keys down to the values; what is free to hold any key counts as one value."""
    keys: list[str] = []
    for name, value in tree.items():
        key = prefix + name
        if isinstance(value, dict) and key not in _FREE:
            keys += _keys(value, key + ".")
        else:
            keys.append(key)
    return keys


def _get(config: ConfigDict, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = value[name]
    return value
