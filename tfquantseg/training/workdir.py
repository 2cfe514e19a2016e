"""The work directory of one run: its config, its lock, its files.

    config.json      the resolved config, written once
    objects.txt      bits, limit and step of every quantized object, layer by layer
    log.csv          one row a step                          (log.py)
    scores.json      the scores, once the run has finished
    checkpoints/     the last few and the best               (checkpoints.py)
    lock             held while a process trains here

One directory belongs to one config for ever: the same command again goes on where it stopped, and
another config is refused, so that no file in it can be from something else than config.json says.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfquantseg.training import whole
from tfquantseg.training.recipe import first_difference

CONFIG = "config.json"
OBJECTS = "objects.txt"
LOG = "log.csv"
SCORES = "scores.json"
CHECKPOINTS = "checkpoints"
_LOCK = "lock"


@contextlib.contextmanager
def opened(path: Path, config: dict[str, Any]) -> Iterator[Path]:
    """Makes or reopens a work directory for training; it is locked while the block runs.

    Args:
        path: The directory; made, with its parents, if it does not exist.
        config: The plain config of the run (`recipe.plain`).

    Yields:
        `path`.

    Raises:
        ValueError: Another process trains here, or the directory is of another config.
        OSError: It cannot be made or written.
    """
    path.mkdir(parents=True, exist_ok=True)
    with _locked(path):
        if (path / CONFIG).exists():
            _check_same(path, config)
        else:
            whole.write_whole(path / CONFIG, json.dumps(config, indent=2).encode() + b"\n")
        (path / CHECKPOINTS).mkdir(exist_ok=True)
        for folder in (path, path / CHECKPOINTS):
            whole.remove_unfinished(folder)
        yield path


def read_config(path: Path) -> dict[str, Any]:
    """The config with which a work directory was made.

    Raises:
        FileNotFoundError: There is no work directory at `path`.
    """
    try:
        config: dict[str, Any] = json.loads((path / CONFIG).read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(
            f"{path} is not a work directory: it has no {CONFIG}. Give as --workdir the directory "
            "that a training made."
        ) from None
    except ValueError:
        raise ValueError(
            f"{path / CONFIG} is not valid JSON, so it was changed after the training wrote it; "
            "restore it, or train in another --workdir."
        ) from None
    return config


def _check_same(path: Path, config: dict[str, Any]) -> None:
    difference = first_difference(read_config(path), config)
    if difference:
        key, there, here = difference
        raise ValueError(
            f"{path} holds a run of another config: config.{key} is {there!r} there and {here!r} "
            f"now. Go on with that run by giving --config.{key}={there}, or give another --workdir."
        )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds the directory's lock. The kernel frees it when the process ends, however it ends."""
    descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(descriptor, 32).decode() or "unknown"
            raise ValueError(
                f"{path} is in use: process {owner} trains there. Wait until it has ended, stop "
                "it, or give another --workdir."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
