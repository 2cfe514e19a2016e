"""The recipe for a user's own data: what a device will run of it, and its integers."""

import json
import pathlib

import numpy as np
import pytest

from tests.data.own_folder import make
from tfquantseg.cli import audit, preflight


@pytest.fixture
def recipe(tmp_path: pathlib.Path) -> list[str]:
    """The recipe on images that it can be tried on in seconds."""
    labels = np.zeros((64, 64), np.uint8)
    labels[16:48, 16:48] = 1
    root = make(tmp_path / "data", classes="background\nobject\n", labels=labels)
    size = "--config.data.size=(64, 64)"
    return ["--config=my_data", f"--config.data.options.root={root}", size]


def test_an_edge_tpu_runs_all_of_it(recipe: list[str], tmp_path: pathlib.Path) -> None:
    to = tmp_path / "report.json"
    assert preflight.main(["preflight", *recipe, f"--json={to}"]) == 0
    report = json.loads(to.read_text())
    assert (report["ok"], report["operators_on_cpu"]) == (True, 0)
    names = [operator["op"] for operator in report["operators"]]
    assert names[-1] == "RESIZE_BILINEAR"
    # Every tie is complete before it is read: nothing is requantized on the way.
    assert "QUANTIZE" not in names
    doubtful = [index for index, entry in enumerate(report["operators"]) if entry["doubts"]]
    assert set(doubtful) <= {len(names) - 1}


def test_every_product_is_of_8_bit_integers(recipe: list[str], tmp_path: pathlib.Path) -> None:
    to = tmp_path / "audit.json"
    assert audit.main(["audit", *recipe, "--config.data.batch=2", f"--json={to}"]) == 0
    report = json.loads(to.read_text())
    assert report["share_of_operands_within_8_bits"] == 1.0
    # 48 of the encoder, 8 of the head, and the logits.
    assert len(report["convolutions"]) == 57
