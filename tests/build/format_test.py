"""Holds every Python file of the project to ruff's format."""

import pathlib
import subprocess
import sys

FOLDERS = ("build_defs", "configs", "tests", "tfquantseg", "tools")


def test_ruff_would_reformat_nothing() -> None:
    files = sorted(str(path) for folder in FOLDERS for path in pathlib.Path(folder).rglob("*.py"))
    command = [sys.executable, "-m", "ruff", "format", "--check", "--no-cache"]
    result = subprocess.run([*command, *files], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
