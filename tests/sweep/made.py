"""A sweep and a row of a table, made by hand."""

from typing import Any

from ml_collections import ConfigDict

from tests.training import tiny
from tfquantseg.sweep.description import key_of
from tfquantseg.sweep.table import FIELDS, Row
from tfquantseg.training import recipe


def described(**changes: Any) -> ConfigDict:
    """A sweep of two variants and two seeds."""
    return ConfigDict(
        {
            "title": "What the policy does",
            "base": "tiny",
            "variants": (
                {"name": "FLOAT", "changes": {"policy": "FLOAT", "rules": ()}},
                {"name": "INTEGER", "changes": {"policy": "INTEGER", "rules": ()}},
            ),
            "baseline": "FLOAT",
            "seeds": (0, 1),
            "scores": ("miou", "loss"),
            **changes,
        }
    )


def row(seed: int = 0, **changes: Any) -> Row:
    """A row of a tiny run."""
    config = {**recipe.plain(tiny.config()), "seed": seed}
    scores = dict.fromkeys(FIELDS, 0.5)
    made = {**scores, "key": key_of(config), "for": "mine", "outcome": "finished", "why": None}
    return {**made, "own_kernels": True, "config": config, **changes}
