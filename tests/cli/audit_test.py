"""The command audit: its table, its JSON twin, its golden vectors and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest

from tfquantseg.cli import audit

SMALL = (
    "--config=configs/digits.py",
    "--config.model.args.width=2",
    "--config.data.options.size=(64, 64)",
    "--config.data.size=(64, 64)",
    "--config.data.batch=2",
)


def test_the_default_recipe_multiplies_integers_of_8_bits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to, dump = tmp_path / "audit.json", tmp_path / "golden"
    assert audit.main(["audit", *SMALL, f"--json={to}", f"--dump={dump}"]) == 0
    shown = capsys.readouterr().out
    report = json.loads(to.read_text())
    assert report["ok"] is True
    assert report["share_of_operands_within_8_bits"] == 1
    names = [convolution["name"] for convolution in report["convolutions"]]
    assert names[0] == "stem"
    assert len(names) >= 13
    for convolution in report["convolutions"]:
        for product in ("forward", "input_gradient", "weight_gradient"):
            assert max(convolution[product]["bits"]) <= 8
    assert f"100% of {6 * len(names)} operands of {len(names)} convolutions" in shown
    assert "on the last integer of their grid,\nwhere clipping would show.\n" in shown
    assert str(to) in shown
    assert str(dump) in shown
    assert "audit" not in shown.split("Next:")[1]  # the next command is another one
    with np.load(dump / "stem.A.npz") as pair:
        assert pair["integers"].dtype == np.int8
        assert pair["step"] == np.float32(1 / 128)


def test_golden_vectors_are_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("kept")
    assert audit.main(["audit", *SMALL, f"--dump={tmp_path}"]) == 2
    assert "holds files already" in capsys.readouterr().err
    assert (tmp_path / "mine").read_text() == "kept"


def test_an_unknown_policy_is_answered_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert audit.main(["audit", *SMALL, "--config.policy=INTEGR"]) == 2
    assert "did you mean 'INTEGER'?" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "missing" / "audit.json"
    # The data set, which does not exist, would be met next.
    assert audit.main(["audit", *SMALL, f"--json={to}", "--config.data.name=none"]) == 2
    assert f"There is no such folder to write to: {to.parent}." in capsys.readouterr().err


def test_a_size_that_does_not_fit_the_model_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    argv = [*SMALL[:3], "--config.data.size=(60, 60)", "--config.data.multiple=1"]
    assert audit.main(["audit", *argv]) == 2
    assert "accepted are sides that are multiples of 8" in capsys.readouterr().err
