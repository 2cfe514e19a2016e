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


def test_an_edge_tpu_runs_all_of_it_but_perhaps_the_last_resize(
    recipe: list[str], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "report.json"
    assert preflight.main(["preflight", *recipe, f"--json={to}"]) == 0
    shown = capsys.readouterr().out
    assert "**69 of 70 operators on the TPU for certain, 1 in doubt (the last resize).**" in shown
    assert shown.splitlines()[-2].endswith("convert --workdir=RUN --logits=stride")
    report = json.loads(to.read_text())
    assert [report[f"operators_{where}"] for where in ("on_tpu", "in_doubt", "on_cpu")] == [
        69,
        1,
        0,
    ]
    names = [operator["op"] for operator in report["operators"]]
    assert names[-1] == "RESIZE_BILINEAR"
    # Every tie is complete before it is read: nothing is requantized on the way.
    assert "QUANTIZE" not in names
    assert preflight.main(["preflight", *recipe, "--logits=stride"]) == 0
    assert "**69 of 69 operators on the TPU.**" in capsys.readouterr().out


def test_every_product_is_of_8_bit_integers(recipe: list[str], tmp_path: pathlib.Path) -> None:
    to = tmp_path / "audit.json"
    assert audit.main(["audit", *recipe, "--config.data.batch=2", f"--json={to}"]) == 0
    report = json.loads(to.read_text())
    assert report["share_of_operands_within_8_bits"] == 1.0
    # 48 of the encoder, 8 of the head, and the logits.
    assert len(report["convolutions"]) == 57
