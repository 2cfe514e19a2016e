"""The parts of a run, built from its config."""

from typing import Any

import keras
import pytest

from tests.training.tiny import config, dropout_model
from tfquantseg import models
from tfquantseg.models.preprocessing import Preprocessing, find_preprocessing
from tfquantseg.training import parts


def test_a_recipe_hands_a_model_plain_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    received: dict[str, Any] = {}

    def build(name: str, **arguments: Any) -> keras.Model:
        received.update(arguments, name=name)
        return dropout_model()

    monkeypatch.setattr(models, "build", build)
    recipe = config(rules=())
    recipe.model.args.preprocessing = {"order": "rgb", "mean": (1, 2, 3)}
    parts.model(recipe, classes=2)
    expected = Preprocessing(order="rgb", mean=(1, 2, 3))
    assert find_preprocessing(received.pop("preprocessing")) == expected
    assert received == {"name": "residual_unet", "classes": 2, "width": 2}


def test_a_recipe_changes_fields_of_a_preset() -> None:
    rules = parts.rules(config(policy="INTEGER k_W=4", rules=(("stem", "FLOAT k_W=8"),)))
    assert (rules.policy_for("stem").k_W, rules.policy_for("logits").k_W) == (8, 4)
    assert rules.policy_for("logits").name == "INTEGER k_W=4"
