"""The work directory of one run: its config, its lock, its files.

    config.json      the resolved config, written once, when the first step begins
    objects.txt      bits, limit and step of every quantized object, layer by layer
    log.csv          one row a step                          (log.py)
    tensorboard/     the same and more, as curves and pictures (board.py)
    scores.json      the scores, once the run has finished
    checkpoints/     the last few and the best               (checkpoints.py)
    lock             held while a process trains here

From its first step on a directory belongs to one config for ever: the same command again goes on
where it stopped, and another config is refused, so that no file in it can be from something else
than config.json says.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from tfquantseg.training import recipe, whole

CONFIG = "config.json"
OBJECTS = "objects.txt"
LOG = "log.csv"
BOARD = "tensorboard"
SCORES = "scores.json"
CHECKPOINTS = "checkpoints"
_LOCK = "lock"
_BEFORE_CONFIG = (_LOCK, CHECKPOINTS, BOARD)  # what a run that ended early may have left
_SHOWN = 5  # names in a message


@contextlib.contextmanager
def opened(path: Path, config: dict[str, Any]) -> Iterator[Path]:
    """Makes or reopens a work directory for training; it is locked while the block runs.

    A directory that was made here, and that no config has claimed when the block ends, is removed.

    Args:
        path: The directory; made, with its parents, if it does not exist.
        config: The plain config of the run (`recipe.plain`).

    Yields:
        `path`.

    Raises:
        ValueError: Another process trains here, the directory is of another config or holds
            something else, or it is a file.
        OSError: It cannot be made or written.
    """
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path} is a file; give a folder, or a new name, as --workdir.")
    if path.is_dir():
        _check_ours(path)
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    with _locked(path):
        if (path / CONFIG).exists():
            _check_same(path, config)
        for folder in (path, path / CHECKPOINTS):
            whole.remove_unfinished(folder)
        try:
            yield path
        finally:
            if not (path / CONFIG).exists():
                _leave(path, made)


def claim(path: Path, config: dict[str, Any]) -> None:
    """Makes an open work directory that of a config for ever, if it is not yet.

    Called when the first step begins: a mistyped config that nothing can be built of claims none.

    Raises:
        OSError: It cannot be written.
    """
    (path / CHECKPOINTS).mkdir(exist_ok=True)
    if not (path / CONFIG).exists():
        whole.write_whole(path / CONFIG, json.dumps(config, indent=2).encode() + b"\n")


def read_config(path: Path) -> dict[str, Any]:
    """The config with which a work directory was made, with keys that came later filled in.

    Raises:
        FileNotFoundError: There is no work directory at `path`.
        ValueError: The file holds no config.
    """
    try:
        config: dict[str, Any] = json.loads((path / CONFIG).read_text())
        if not isinstance(config, dict):
            raise ValueError("it is not an object of keys and values")
        config = recipe.completed(config)
        recipe.check(ConfigDict(config))
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(
            f"{path} is not a work directory: it has no {CONFIG}. Give as --workdir the directory "
            "that a training made."
        ) from None
    except ValueError as error:
        raise ValueError(
            f"{path / CONFIG} holds no config of this version ({error}). It was changed after the "
            "training wrote it, or another version wrote it: restore it, use that version, or "
            "train in another --workdir."
        ) from error
    return config


def trainer(path: Path) -> str | None:
    """The id of the process that trains in a work directory now; None if none does.

    It asks for the lock, shared and for an instant.

    Raises:
        OSError: The lock cannot be read.
    """
    try:
        descriptor = os.open(path / _LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _owner(descriptor)
    else:
        return None
    finally:
        os.close(descriptor)


def _check_ours(path: Path) -> None:
    """Checks that a directory is empty, or that a training made it."""
    there = sorted(inside.name for inside in path.iterdir())
    others = [n for n in there if n not in _BEFORE_CONFIG and not whole.is_unfinished(n)]
    if others and CONFIG not in there:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        raise ValueError(
            f"{path} is no work directory: it has no {CONFIG}, and holds "
            f"{', '.join(others[:_SHOWN])}{more}. Give a new folder as --workdir."
        )


def _check_same(path: Path, config: dict[str, Any]) -> None:
    # Another data set or network first: then what else differs hardly matters.
    found = sorted(recipe.differences(read_config(path), config), key=_is_of_settings)
    if not found:
        return
    listed = [f"  config.{key} is {there!r} there and {now!r} now" for key, there, now in found]
    raise ValueError("\n".join([f"{path} holds a run of another config:", *listed, _advice(found)]))


def _is_of_settings(difference: recipe.Difference) -> bool:
    return not difference.key.startswith(("data.name", "data.options", "model."))


def _advice(found: list[recipe.Difference]) -> str:
    """What to do about differences; the flags that undo them where a command line can hold them."""
    otherwise = "give another --workdir."
    if not all(_is_of_settings(one) and _can_be_typed(one) for one in found):
        return otherwise.capitalize()
    flags = [
        f"--config.{key}={tuple(there) if isinstance(there, list) else there}"
        for key, there, _ in found
    ]
    return f"Go on with that run by giving {shlex.join(flags)}, or {otherwise}"


def _can_be_typed(difference: recipe.Difference) -> bool:
    there = difference.first
    values = there if isinstance(there, list) else [there]
    return all(isinstance(value, str | int | float) for value in values)


def _leave(path: Path, made: list[Path]) -> None:
    """Removes the lock of a directory, and the empty folders that were made for it."""
    (path / _LOCK).unlink()
    with contextlib.suppress(OSError):  # Somebody has put something there.
        for folder in made:
            folder.rmdir()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds the directory's lock. The kernel frees it when the process ends, however it ends."""
    descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"{path} is in use: process {_owner(descriptor)} trains there. Wait until it has "
                "ended, stop it, or give another --workdir."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _owner(descriptor: int) -> str:
    """The id of the process that holds a lock, from its file."""
    return os.read(descriptor, 32).decode() or "unknown"
