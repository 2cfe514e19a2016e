"""What a sweep is: a recipe, its variants, its seeds. Imports no TensorFlow.

A *sweep* is a file with a function `get_config()` that returns an `ml_collections.ConfigDict`, such
as those in configs/sweeps:

    config.title      what it asks, for people
    config.base       the recipe: a name of configs, or the path of a file, from the sweep's folder;
                      behind it ":VARIANT" where the recipe has variants
    config.variants   ({"name": "FLOAT", "changes": {"policy": "FLOAT", "optimizer.decay": 0.0}},
                      ...), what each changes in it; one may name a "base" and a "baseline" of
                      its own
    config.baseline   the variant that the others are compared with
    config.seeds      (0, 1, 2): each variant is trained with each, so that differences are paired
    config.scores     what the summary shows, of SCORES

A *run* is one variant with one seed. Its *key* is made of its exact configuration, so that sweeps
which ask for the same run share it.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from tfquantseg.names import unknown_name
from tfquantseg.training import recipe

SCORES = {
    "miou": "mIoU",
    "miou_per_image": "mIoU per image",
    "boundary_miou": "boundary mIoU",
    "pixel_accuracy": "pixel accuracy",
    "loss": "last training loss",
    "seconds": "seconds",
    "steps": "steps",
}
"""What a row holds of a run, and how it is called."""

_KEYS = ("title", "base", "variants", "baseline", "seeds", "scores")
_VARIANT_KEYS = ("name", "changes", "base", "baseline")
_KEY_LENGTH = 12  # hexadecimal digits: 48 bits, for some hundreds of runs


@dataclasses.dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        variant: name.
        seed: of weights, order of the data and stochastic rounding.
        config: plain, complete.
    """

    variant: str
    seed: int
    config: dict[str, Any]

    @property
    def key(self) -> str:
        """Of the configuration, seed included."""
        return key_of(self.config)

    @property
    def name(self) -> str:
        """As people read it."""
        return f"{self.variant}, seed {self.seed}"


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What is to be trained, and how it is shown.

    Attributes:
        name: of the sweep.
        title: what it asks.
        runs: in the order in which they are trained: seed by seed.
        baselines: by variant, in the order of the sweep, the variant that it is compared with.
        scores: of SCORES.
    """

    name: str
    title: str
    runs: tuple[Run, ...]
    baselines: dict[str, str]
    scores: tuple[str, ...]

    def only(self, pattern: str) -> tuple[Run, ...]:
        """Returns the runs in whose name a regular expression is found.

        Raises:
            ValueError: there is none, or it is no regular expression.
        """
        try:
            chosen = tuple(run for run in self.runs if re.search(pattern, run.name))
        except re.error as error:
            raise ValueError(f"--only={pattern!r} is not a regular expression: {error}.") from None
        if not chosen:
            names = "; ".join(run.name for run in self.runs)
            raise ValueError(f"--only={pattern!r} is found in no run of {self.name!r}: {names}.")
        return chosen


def key_of(config: dict[str, Any]) -> str:
    """Returns what a run is known by: a digest of its plain config, seed included."""
    text = json.dumps(recipe.completed(config), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY_LENGTH]


def bases_of(name: str, description: Any) -> tuple[str, ...]:
    """Returns what a sweep names as recipes, before they are read.

    Raises:
        ValueError: it is no sweep, lacks a key or has another.
    """
    if not isinstance(description, ConfigDict):
        raise ValueError(
            f"{name} is no sweep: get_config() returns {type(description).__name__}; accepted is "
            "an ml_collections.ConfigDict."
        )
    for key in description:
        if key not in _KEYS:
            raise unknown_name(f"key of sweep {name!r}", key, _KEYS)
    for key in _KEYS:
        if key not in description:
            raise ValueError(f"Sweep {name!r} has no key {key!r}; see configs/sweeps/table1.py.")
    for key in ("title", "base", "baseline"):
        if not isinstance(description[key], str) or not description[key]:
            raise _wrong(name, key, description[key], "a string")
    for key in ("variants", "seeds", "scores"):
        if not isinstance(description[key], tuple | list) or not description[key]:
            raise _wrong(name, key, description[key], "a tuple of at least one")
    variants = [_variant(name, one) for one in description.variants]
    return tuple(dict.fromkeys(one.get("base", description.base) for one in variants))


def sweep_of(name: str, description: ConfigDict, bases: Mapping[str, ConfigDict]) -> Sweep:
    """Makes the runs of a sweep.

    Args:
        name: of the sweep.
        description: what its get_config() returned.
        bases: the recipes that it names, by those names.

    Raises:
        ValueError: a key, variant, seed, score or change is not accepted; names it.
    """
    bases_of(name, description)
    seeds, scores = list(description.seeds), tuple(description.scores)
    if any(seed in seeds[:place] for place, seed in enumerate(seeds)):
        raise _wrong(name, "seeds", seeds, "different integers, (0, 1, 2)")
    for score in scores:
        if not isinstance(score, str):
            raise _wrong(name, "a score", score, ", ".join(SCORES))
        if score not in SCORES:
            raise unknown_name(f"score of sweep {name!r}", score, SCORES)
    variants = [_variant(name, one) for one in description.variants]
    names = [variant["name"] for variant in variants]
    if len(set(names)) < len(names):
        raise _wrong(name, "variants", names, "variants of different names")
    baselines = {one["name"]: one.get("baseline", description.baseline) for one in variants}
    for baseline in {description.baseline, *baselines.values()}:
        if baseline not in names:
            raise unknown_name(f"baseline of sweep {name!r}", baseline, names)
    for called, read in bases.items():
        if "variants" in read:
            raise _wrong(name, "base", called, "a recipe; this is a sweep")
    runs = []
    known: dict[str, str] = {}
    for seed in seeds:
        for variant in variants:
            where = f"{name}, variant {variant['name']}"
            base = recipe.plain(bases[variant.get("base", description.base)])
            config = _changed(where, base, _plain(where, variant["changes"]))
            config["seed"] = seed
            try:
                recipe.check(ConfigDict(config))
            except ValueError as error:
                raise ValueError(f"Sweep {where}: {error}") from error
            run = Run(variant["name"], seed, config)
            other = known.setdefault(run.key, run.variant)
            if other != run.variant:
                raise ValueError(
                    f"Sweep {name!r}: variants {other!r} and {run.variant!r} are the same "
                    "configuration; leave one out, or change it."
                )
            runs.append(run)
    return Sweep(name, description.title, tuple(runs), baselines, scores)


def _variant(name: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, dict) or not {"name", "changes"} <= given.keys():
        raise _wrong(name, "variants", given, 'dicts such as {"name": "FLOAT", "changes": {...}}')
    for key in given:
        if key not in _VARIANT_KEYS:
            raise unknown_name(f"key of a variant of sweep {name!r}", key, _VARIANT_KEYS)
    for key in ("name", "base", "baseline"):
        if key in given and (not isinstance(given[key], str) or not given[key]):
            raise _wrong(name, f"a variant's {key}", given[key], "a string")
    if not given["name"].isprintable() or "|" in given["name"]:
        raise _wrong(name, "a variant's name", given["name"], "one line of a table, without |")
    return given


def _plain(where: str, changes: Any) -> dict[str, Any]:
    """Returns changes as dicts, lists and scalars."""
    if not isinstance(changes, dict):
        raise _wrong(where, "changes", changes, 'a dict such as {"optimizer.decay": 0.0}')
    found = {}
    for key, value in changes.items():
        found[key] = recipe.plain(ConfigDict({"value": value}))["value"]
    return found


def _changed(where: str, tree: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Returns a plain config with other values of some of its keys."""
    changed = copy.deepcopy(tree)
    for key, value in changes.items():
        if not isinstance(key, str):
            raise _wrong(where, "a key of changes", key, 'a string such as "optimizer.decay"')
        free = any(key.startswith(f"{part}.") for part in recipe.FREE)
        if key == "seed":
            raise ValueError(f"Sweep {where}: 'seed' is not changed; give the seeds as seeds.")
        if key not in recipe.KEYS and not free:
            raise ValueError(f"Sweep {where}: {recipe.unknown_key(key, recipe.KEYS)}")
        *parents, last = key.split(".")
        part: Any = changed
        for parent in parents:
            part = part.get(parent)
            if not isinstance(part, dict):
                raise ValueError(
                    f"Sweep {where}: {key!r} can't be changed: the recipe has no part {parent!r} "
                    "there; give the whole part above it, as a dict."
                )
        part[last] = copy.deepcopy(value)
    return changed


def _wrong(where: str, key: str, received: Any, accepted: str) -> ValueError:
    return ValueError(f"Sweep {where!r}: {key} is {received!r}; accepted: {accepted}.")
