"""Every recipe that is shipped is complete, and names things that exist."""

import runpy

import pytest

from tfquantseg import losses, models, policy, schedules
from tfquantseg.cli import recipes
from tfquantseg.numerics import delta
from tfquantseg.training import parts, recipe

RECIPES = {name: runpy.run_path(str(path)) for name, path in recipes.shipped().items()}
CONFIGS = [
    (name, *variant)
    for name, module in RECIPES.items()
    for variant in ((), *((variant,) for variant in module.get("VARIANTS", ())))
]


@pytest.mark.parametrize("chosen", CONFIGS, ids=":".join)
def test_a_recipe_is_complete(chosen: tuple[str, ...]) -> None:
    name, *variant = chosen
    module = RECIPES[name]
    config = module["get_config"](*variant)
    recipe.check(config)
    parts.rules(config)
    losses.get(config.loss)
    assert config.model.name in models.names()
    assert config.policy.split()[0] in policy.presets()
    assert f"configs/{name}.py" in module["__doc__"]
    assert "Time: " in module["__doc__"]
    # The same recipe serves the integer presets, whose learning rates lie on grid(k_lr).
    rates = schedules.Halvings(
        config.optimizer.learning_rate,
        tuple(config.optimizer.boundaries),
        tuple(config.optimizer.warmup),
    ).values()
    step = delta(policy.INTEGER.k_lr)
    assert all(rate / step == round(rate / step) for rate in rates)
    assert max(config.optimizer.boundaries, default=0) < config.steps


def test_the_first_variant_is_the_default() -> None:
    for module in RECIPES.values():
        if "VARIANTS" in module:
            first = module["get_config"](module["VARIANTS"][0])
            assert recipe.plain(module["get_config"]()) == recipe.plain(first)
