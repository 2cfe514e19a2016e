"""Every sweep that is shipped is whole, and shares with the others what they have in common."""

import runpy

import pytest
from ml_collections import ConfigDict

from tfquantseg import models
from tfquantseg.cli import recipes, sweep
from tfquantseg.training import parts


@pytest.mark.parametrize("name", recipes.shipped_sweeps())
def test_a_sweep_names_what_exists(name: str) -> None:
    chosen = sweep.read(name)
    assert chosen.name == name
    for run in chosen.runs:
        config = ConfigDict(run.config)
        parts.rules(config)
        parts.schedule(config)
        assert config.model.name in models.names()
        assert max(config.optimizer.boundaries) < config.steps
    text = runpy.run_path(str(recipes.shipped_sweeps()[name]))["__doc__"]
    table = "rates.jsonl" if name == "table2_rates" else "docs/results/paper.jsonl"
    assert f"--sweep={name} --table={table}" in text
    assert f"{len(chosen.runs)} runs" in text


def test_sweeps_share_runs() -> None:
    keys = {name: {run.key for run in sweep.read(name).runs} for name in recipes.shipped_sweeps()}
    # FLOAT and INTEGER of the network with batch norm; FLOAT and INTEGER of the one without.
    assert len(keys["table1"] & keys["figure10"]) == 6
    assert len(keys["table1"] & keys["table3"]) == 6
    # Kept and dropped, but for INTEGER dropped twice, PAPER_DEEPLAB dropped and PAPER_FCN kept.
    assert len(keys["table1"] & keys["table2"]) == 12
