"""A run that trains in seconds, for commands that need a trained network."""

import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfquantseg.cli import train

TINY = (
    "--config=digits",
    "--config.model.args.width=2",
    "--config.data.options.size=64,64",
    "--config.data.size=64,64",
    "--config.data.train=train[:0.01]",
    "--config.data.val=val[:0.02]",
    "--config.data.batch=2",
    "--config.steps=2",
)
"""Flags of train: 64 x 64 pixels, two steps, four images held out."""


def trained_in(path: Path, policy: str) -> Path:
    """Trains such a run, and returns its work directory."""
    assert train.main(["train", *TINY, f"--config.policy={policy}", f"--workdir={path}"]) == 0
    return path


def without_numbers(run: Path, to: Path) -> Path:
    """Returns a copy of a work directory in which a kernel is NaN."""
    shutil.copytree(run, to)
    (file,) = to.glob("checkpoints/*/model.keras")
    model: Any = keras.saving.load_model(file, compile=False)
    kernel = model.get_layer("stem").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    model.save(file)
    return to
