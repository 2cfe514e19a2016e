"""Holds every Python file of the project to ruff's rules."""

import pathlib
import subprocess
import sys

FOLDERS = ("build_defs", "configs", "tests", "tfquantseg", "tools")


def python_files(root: pathlib.Path) -> set[str]:
    return {
        str(path.relative_to(root))
        for folder in FOLDERS
        for path in (root / folder).rglob("*.py")
        if "__pycache__" not in path.parts
    }


def test_the_target_sees_every_python_file_of_the_checkout() -> None:
    # Under Bazel the files seen are links into the checkout, pyproject.toml among them.
    checkout = pathlib.Path("pyproject.toml").resolve().parent
    assert python_files(pathlib.Path()) == python_files(checkout)


def test_ruff_finds_nothing() -> None:
    files = sorted(python_files(pathlib.Path()))
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise"]
    result = subprocess.run([*command, *files], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
