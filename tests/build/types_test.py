"""Checks the types of the package."""

import pathlib
import subprocess
import sys


def test_mypy_finds_nothing(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "mypy", f"--cache-dir={tmp_path}", "--no-error-summary"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
