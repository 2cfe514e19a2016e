"""A Python process of its own, which finds the packages that this one has found."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def command(module: str) -> list[str]:
    """Returns the command line that runs a module of this project with this interpreter.

    Args:
        module: its whole name, such as "tfquantseg.benchmark.training_worker".
    """
    # -P: without it the folder where the user stands would come before the packages.
    return [sys.executable, "-P", "-m", module]


def environment() -> dict[str, str]:
    """Returns the environment variables for it.

    Bazel's runfiles and a user's PYTHONPATH reach a child by its environment only.
    """
    path = [str(Path(__file__).parents[2]), *filter(None, sys.path)]
    return {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "PYTHONPATH": os.pathsep.join(path),
    }
