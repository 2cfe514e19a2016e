"""Holds every Python file of the project to ruff's format."""

import pathlib
import subprocess
import sys


def test_ruff_would_reformat_nothing() -> None:
    files = sorted(str(path) for path in pathlib.Path().rglob("*.py"))
    command = [sys.executable, "-m", "ruff", "format", "--check", "--no-cache"]
    result = subprocess.run([*command, *files], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
