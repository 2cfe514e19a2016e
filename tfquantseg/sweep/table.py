"""The table of finished runs: one line of JSON a run, appended when the run is done.

A row is known by the key of its exact configuration, which it holds too, so that a table may be
committed, read by people and programs, and shared by sweeps. A row counts once its line is whole: a
process that is killed while it writes leaves a piece of a line, which the next one removes.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfquantseg.sweep.description import SCORES, key_of

Row = dict[str, Any]
FINISHED, DIVERGED = "finished", "diverged"
_MOST = 1e15  # Of a score; NaN is not below it either.
FIELDS = ("key", "for", "outcome", *SCORES, "why", "own_kernels", "config")
"""Of a row; ``for`` is the sweep and run that made it, ``why`` says why it diverged."""


def read(path: Path) -> dict[str, Row]:
    """Returns the rows of a table by key; none where there is no file.

    Raises:
        ValueError: a line that is no row, which names it.
        OSError: the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    return _rows(path, content)


class Table:
    """An open table, to which nobody else can append.

    Attributes:
        rows: by key.
    """

    def __init__(self, path: Path, file: io.FileIO, rows: dict[str, Row]) -> None:
        """Keeps what `opened` has opened."""
        self.rows = rows
        self._path = path
        self._file = file

    @property
    def descriptor(self) -> int:
        """Of the file: a child that inherits it keeps the table locked until it has ended."""
        return self._file.fileno()

    def append(self, row: Row) -> None:
        """Appends a finished run.

        Raises:
            ValueError: the file was moved, removed or replaced since it was opened.
            OSError: the disk is full, or the like; what was there is whole.
        """
        here = os.fstat(self.descriptor)
        there = os.stat(self._path) if self._path.exists() else None
        if there is None or (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
            raise ValueError(
                f"{self._path} was moved, removed or replaced while the sweep ran. Put it where it "
                "was and type the same command again: no finished run is trained again."
            )
        line = json.dumps({field: row[field] for field in FIELDS}).encode() + b"\n"
        try:
            if self._file.write(line) != len(line):
                raise OSError(28, "No space left on device")
            os.fsync(self.descriptor)
        except OSError as error:
            os.ftruncate(self.descriptor, here.st_size)
            raise OSError(error.errno, error.strerror, str(self._path)) from error
        self.rows[row["key"]] = row


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Table]:
    """Opens a table to append to, and locks it; it is made if it does not exist.

    Raises:
        ValueError: another sweep appends to it, or a line is no row.
        OSError: it cannot be written.
    """
    existed = path.exists()
    with open(path, "ab", buffering=0) as file:
        _lock(path, file)
        content = path.read_bytes()
        rows = _rows(path, content)
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.ftruncate(file.fileno(), whole)
        try:
            yield Table(path, file, rows)
        finally:
            if not existed and os.fstat(file.fileno()).st_size == 0:
                path.unlink(missing_ok=True)


def _lock(path: Path, file: io.FileIO) -> None:
    # The kernel frees it when all processes that hold the file have ended, however they end.
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(
            f"{path} is in use: another sweep appends to it. Wait until it has ended (one that was "
            "killed just now takes some seconds to save its last run), or give another --table."
        ) from None


def _rows(path: Path, content: bytes) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    lines = content.split(b"\n")[:-1]  # What no end of line follows is not whole.
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict) or set(row) != set(FIELDS):
                raise ValueError(f"a row has the fields {', '.join(FIELDS)}")
            if row["outcome"] not in (FINISHED, DIVERGED):
                raise ValueError(f"its outcome is {row['outcome']!r}")
            if key_of(row["config"]) != row["key"]:
                raise ValueError("its key is not that of its config")
            if row["key"] in rows:
                raise ValueError("its run stands in a line before too")
            for score in SCORES:
                if not _is_score(row[score]):
                    raise ValueError(f"its {score} is {row[score]!r}")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"{path}, line {number}, is no row of a sweep's table ({error}). Remove the line, "
                "or give another --table."
            ) from error
        rows[row["key"]] = row
    return rows


def _is_score(value: Any) -> bool:
    """Whether a row may hold it: a number that float64 holds, or None where it is not known."""
    if value is None:
        return True
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) < _MOST
