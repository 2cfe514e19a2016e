"""What the command evaluate refuses; that it scores, train_test.py shows."""

import json
from pathlib import Path

import pytest

from tests.training.tiny import config
from tfquantseg.cli import evaluate
from tfquantseg.training import recipe


def _error(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert evaluate.main(["evaluate", *argv]) == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_without_a_workdir(capsys: pytest.CaptureFixture[str]) -> None:
    assert _error(capsys) == "Error: Give --workdir: the folder that a training made."
    assert _error(capsys, "--model=a.tflite") == (
        "Error: Give --workdir too: the run whose data and split the file is scored on."
    )


def test_help_asks_for_no_workdir(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main(["evaluate", "--help"]) == 0
    assert "--workdir: Folder that a training made." in capsys.readouterr().out


def test_a_folder_that_is_no_workdir(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = _error(capsys, f"--workdir={tmp_path}")
    assert shown.startswith(f"Error: {tmp_path} is not a work directory")


def test_a_workdir_without_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(recipe.plain(config())))
    shown = _error(capsys, f"--workdir={tmp_path}")
    assert shown.startswith(f"Error: {tmp_path}/checkpoints holds no checkpoint yet")


def test_scales_that_do_not_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = _error(capsys, f"--workdir={tmp_path}", "--scales=static")
    assert "value should be one of <running|dynamic>" in shown


def test_a_config_that_is_no_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"seed": 0}))
    shown = _error(capsys, f"--workdir={tmp_path}")
    assert shown.startswith(
        f"Error: {tmp_path}/config.json holds no config of this version (The config has no key"
    )


def test_a_file_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = _error(capsys, f"--workdir={tmp_path / 'none'}", f"--json={tmp_path}")
    assert shown == f"Error: Is a directory: {tmp_path}."
