"""Checkpoints: the state of a run after some step, whole or not at all.

    checkpoints/step_00000200/
        model.keras        architecture and weights; all that evaluation and export need
        state.npz          the optimizer's variables and the states of random seeds
        checkpoint.json    step, mIoU on the validation split, what model it is of

The last few are kept, and the best: the one of the highest mIoU, the earliest of equals. Order and
augmentation of the data follow from (seed, step), so that nothing else need be kept to go on bit
for bit. Masters and velocities that lie on their grids of at most 24 bits take three bytes a value
(`tfquantseg.layers.masters`, `tfquantseg.numerics.packing`).
"""

from __future__ import annotations

import dataclasses
import json
import re
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from tfquantseg.numerics import pack, unpack
from tfquantseg.policy import ADDED
from tfquantseg.training import whole
from tfquantseg.training.recipe import completed, differences

MODEL = "model.keras"
_STATE = "state.npz"
_ABOUT = "checkpoint.json"
_NAME = "step_{:08d}"
_KEYS = {"step", "miou", "config", "architecture", "weights", "optimizer"}
_NAMED = re.compile(r"step_(\d{8,})")

DAMAGE = (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged file raises, depending on where the damage is."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """One checkpoint on the disk.

    Args:
        path: Its folder.
        step: Steps done.
        miou: mIoU on the validation split after that step, 0..1; None if it was not evaluated.
    """

    path: Path
    step: int
    miou: float | None

    @property
    def model(self) -> Path:
        """The model's file."""
        return self.path / MODEL


def listed(folder: Path) -> list[Checkpoint]:
    """The checkpoints in a folder, in the order of their steps; other names are left alone.

    Raises:
        ValueError: One of them cannot be read.
    """
    found = []
    for path in folder.glob("step_*"):
        if _NAMED.fullmatch(path.name):
            about = _about(path)
            found.append(Checkpoint(path, about["step"], about["miou"]))
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def newest(folder: Path) -> Checkpoint | None:
    """The checkpoint of the latest step, or None if there is none."""
    return max(listed(folder), key=lambda checkpoint: checkpoint.step, default=None)


def best(folder: Path) -> Checkpoint | None:
    """The checkpoint of the highest mIoU, the earliest of equals; None if none was evaluated."""
    return _best(listed(folder))


def find(folder: Path, which: Literal["best", "last"]) -> Checkpoint:
    """The best or the last checkpoint in a folder.

    Raises:
        ValueError: `which` is another word.
        FileNotFoundError: There is no such checkpoint.
    """
    if which not in ("best", "last"):
        raise ValueError(f"Checkpoint {which!r} is not known; accepted are 'best' and 'last'.")
    found = best(folder) if which == "best" else newest(folder)
    if found is None:
        raise FileNotFoundError(
            f"{folder} holds no {'evaluated ' if which == 'best' else ''}checkpoint yet; let the "
            "training run until it has saved one."
        )
    return found


def save(
    folder: Path,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    *,
    step: int,
    miou: float | None,
    config: dict[str, Any],
    keep: int,
) -> Checkpoint:
    """Saves a checkpoint, then removes those that need not be kept.

    Args:
        folder: Where checkpoints are.
        model: The model.
        optimizer: Its optimizer, built.
        step: Steps done.
        miou: mIoU on the validation split after this step, or None.
        config: The plain config of the run.
        keep: How many of the latest to keep, beside the best.

    Returns:
        What was saved; if this step has been saved before, what is there.

    Raises:
        OSError: The disk is full or the folder cannot be written. Earlier checkpoints are whole.
    """
    path = folder / _NAME.format(step)
    if not path.exists():
        about = {"step": step, "miou": miou, **_identity(model, optimizer, config)}
        try:
            with whole.whole_folder(path) as temporary:
                model.save(temporary / MODEL)
                beside = _beside_weights(model, optimizer)
                state: dict[str, Any] = {name: _packed(one) for name, one in beside.items()}
                np.savez(temporary / _STATE, **state)
                (temporary / _ABOUT).write_text(json.dumps(about, indent=1))
        except OSError as error:
            before = newest(folder)
            safe = f"the last whole checkpoint is {before.path}" if before else "there is none yet"
            raise OSError(
                error.errno,
                f"Step {step} could not be saved in {folder} ({error.strerror}); {safe}. Make room "
                "and type the same command again to go on from there",
            ) from error
    saved = listed(folder)
    kept = [*saved[-keep:], _best(saved)]
    for checkpoint in saved:
        if checkpoint not in kept:
            whole.remove_folder(checkpoint.path)
    return next(checkpoint for checkpoint in saved if checkpoint.step == step)


def restore(
    checkpoint: Checkpoint,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    config: dict[str, Any],
) -> None:
    """Puts a model and its optimizer into the state that was saved, bit for bit.

    Args:
        checkpoint: What to restore.
        model: The model as the run's config builds it.
        optimizer: Its optimizer, built.
        config: The plain config of the run.

    Raises:
        ValueError: The checkpoint is of another config or another model, or is damaged.
    """
    _check_identity(checkpoint, _identity(model, optimizer, config))
    try:
        for name in (MODEL, _STATE):
            check_archive(checkpoint.path / name)
        model.load_weights(checkpoint.model)
        with (checkpoint.path / _STATE).open("rb") as file, np.load(file) as state:
            for name, variable in _beside_weights(model, optimizer).items():
                variable.assign(_unpacked(state[name], variable))
    except DAMAGE as error:
        raise damaged(checkpoint.path, error) from error


def check_config(checkpoint: Checkpoint, config: dict[str, Any]) -> None:
    """Checks that a checkpoint is of the run whose work directory it is in.

    Raises:
        ValueError: It is of another config, or damaged.
    """
    _check_identity(checkpoint, {"config": config})


def check_archive(path: Path) -> None:
    """Checks that a file is a whole archive, which both `.keras` and `.npz` are.

    Raises:
        ValueError: It is missing or incomplete.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path.name} is missing or incomplete")


def damaged(path: Path, error: Exception) -> ValueError:
    """Makes the error for a checkpoint that cannot be read."""
    return ValueError(
        f"Checkpoint {path} is damaged ({error}). Remove it: training then goes on from the "
        "checkpoint before it."
    )


def _check_identity(checkpoint: Checkpoint, identity: dict[str, Any]) -> None:
    about = _about(checkpoint.path)
    saved = {**_with_policies_completed(about), "config": completed(about["config"])}
    for part, here in {**identity, "config": completed(identity["config"])}.items():
        for key, there, now in differences(saved[part], here, part):
            raise ValueError(
                f"{checkpoint.path} is a checkpoint of another model: {key} is {there!r} there and "
                f"{now!r} in this run. Remove it from the work directory, or give another "
                "--workdir."
            )


def _with_policies_completed(part: Any) -> Any:
    """A description, its policies with the fields that they did not have when it was written."""
    if isinstance(part, list):
        return [_with_policies_completed(one) for one in part]
    if not isinstance(part, dict):
        return part
    made = {key: _with_policies_completed(value) for key, value in part.items()}
    if isinstance(made.get("policy"), dict):
        made["policy"] = {**ADDED, **made["policy"]}
    return made


def _identity(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, config: dict[str, Any]
) -> dict[str, Any]:
    """What must be equal for a checkpoint to be of this run."""
    return {
        "config": config,
        "architecture": json.loads(json.dumps(keras.saving.serialize_keras_object(model))),
        "weights": _shapes(model.weights),
        "optimizer": _shapes(optimizer.variables),
    }


def _shapes(variables: Iterable[keras.Variable]) -> dict[str, str]:
    """For each variable, by its path: dtype and shape."""
    return {v.path: f"{v.dtype} {list(v.shape)}" for v in variables}


def _beside_weights(
    model: keras.Model, optimizer: keras.optimizers.Optimizer
) -> dict[str, keras.Variable]:
    """What a `.keras` file leaves out: the states of random seeds, and the optimizer."""
    weights = {id(variable) for variable in model.weights}
    seeds = [variable for variable in model.variables if id(variable) not in weights]
    return {f"seed_{i}": variable for i, variable in enumerate(seeds)} | {
        f"optimizer_{i}": variable for i, variable in enumerate(optimizer.variables)
    }


def _packed(variable: keras.Variable) -> np.ndarray:
    """A variable's value, of three bytes an element if it lies on a grid: velocities do."""
    value: np.ndarray = variable.numpy()
    grid = getattr(variable, "grid", None)
    packed = None if grid is None else pack(value, grid)
    return value if packed is None else packed


def _unpacked(value: np.ndarray, variable: keras.Variable) -> np.ndarray:
    """The value that `_packed` was given; checkpoints of earlier versions packed nothing."""
    grid = getattr(variable, "grid", None)
    return value if grid is None or value.dtype != np.uint8 else unpack(value, grid)


def _best(saved: list[Checkpoint]) -> Checkpoint | None:
    evaluated = [checkpoint for checkpoint in saved if checkpoint.miou is not None]
    return max(evaluated, key=lambda checkpoint: checkpoint.miou or 0.0, default=None)


def _about(path: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads((path / _ABOUT).read_text())
        if not isinstance(about, dict) or _KEYS - about.keys():
            raise ValueError(f"{_ABOUT} does not hold {', '.join(sorted(_KEYS))}")
        step, miou = about["step"], about["miou"]
        if not isinstance(step, int) or path.name != _NAME.format(step):
            raise ValueError(f"{_ABOUT} is of step {step!r}")
        if not isinstance(miou, float | int | None):
            raise ValueError(f"{_ABOUT} has a mIoU of {miou!r}")
        if not isinstance(about["config"], dict):
            raise ValueError(f"{_ABOUT} has no config")
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error
    return about
