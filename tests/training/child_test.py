"""A child finds what its parent has found."""

import subprocess
import sys
from pathlib import Path

import pytest

from tfquantseg.training import child


def test_a_child_runs_a_module_of_this_project_wherever_the_user_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tfquantseg.py").write_text("raise ImportError('not this one')")
    command = child.command("tfquantseg.names")
    assert command[0] == sys.executable
    result = subprocess.run(command, env=child.environment(), capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_user_s_own_settings_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    made = child.environment()
    assert made["TF_CPP_MIN_LOG_LEVEL"] == "0"
    assert made["KERAS_BACKEND"] == "tensorflow"  # The only one that this project has.
