"""Trains the runs of a sweep one after the other, each in a process of its own."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from tfquantseg.sweep.description import Run, Sweep
from tfquantseg.sweep.table import DIVERGED, Table
from tfquantseg.training import child, workdir
from tfquantseg.training.bar import Line, bar, duration
from tfquantseg.training.signals import StopRequest

_POLL = 0.2  # seconds between two looks at a run
_TAIL = 4096  # bytes at the end of a log that hold its last row
_SAID = 15  # lines of what a run that failed has said
_LOG = "{}.log"
_RESULT = "{}.json"


@dataclasses.dataclass(frozen=True)
class Failure:
    """A run that ended without a row.

    Attributes:
        run: which.
        how: it ended.
        said: its last lines.
        log: all that it said.
    """

    run: Run
    how: str
    said: str
    log: Path


def folder_of(work: Path, run: Run) -> Path:
    """Returns the work directory of a run: the same for every sweep that asks for it."""
    return work / run.key


def train_all(
    sweep: Sweep, runs: Sequence[Run], table: Table, work: Path, stream: TextIO, stop: StopRequest
) -> list[Failure]:
    """Trains the runs that a table does not hold yet, and appends each to it when it is done.

    A run that diverges gets a row that says so. One that fails otherwise gets none; the next ones
    are trained.

    Args:
        sweep: whose name the rows bear.
        runs: of it.
        table: open.
        work: where the runs have their work directories; made if it does not exist.
        stream: where progress is shown.
        stop: where it was received, the run saves a checkpoint, and no other begins.

    Returns:
        The runs that failed.

    Raises:
        ValueError: the table was moved.
        OSError: the table or the folder cannot be written.
    """
    work.mkdir(parents=True, exist_ok=True)
    to_do = [run for run in runs if run.key not in table.rows]
    progress = _Progress(len(runs), to_do, stream)
    failures = []
    for number, run in enumerate(to_do):
        if stop.received:
            break
        progress.begins(number)
        result = _train(run, table, work, progress, stop)
        if isinstance(result, Failure):
            failures.append(result)
            progress.say(f"{run.name}: {result.how}; see {result.log}.")
        elif result is not None:
            made_by = f"{sweep.name}: {run.name}"
            table.append({**result, "key": run.key, "for": made_by, "config": run.config})
            progress.say(f"{run.name}: {_said(result)}")
    return failures


def _said(row: dict[str, Any]) -> str:
    if row["outcome"] == DIVERGED:
        return f"diverged. {row['why']}"
    time_taken = f", {duration(row['seconds'])}" if row["seconds"] else ""
    return f"mIoU {row['miou']:.2%}, loss {row['loss']:.4g}{time_taken}"


def _train(
    run: Run, table: Table, work: Path, progress: _Progress, stop: StopRequest
) -> dict[str, Any] | Failure | None:
    """Returns what the run's row says, or how it failed; None where it was stopped."""
    folder, log, result = (
        folder_of(work, run),
        work / _LOG.format(run.key),
        work / _RESULT.format(run.key),
    )
    if result.exists():  # The sweep was killed between the end of the run and its row.
        return _taken(result)
    question = {"config": run.config, "workdir": str(folder), "result": str(result)}
    with log.open("ab") as said:
        process = subprocess.Popen(
            child.command("tfquantseg.sweep.worker"),
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=child.environment(),
            # It keeps the table locked until it has ended, even where this process is killed; and
            # Ctrl-C reaches this process alone, which then ends the other's input.
            pass_fds=(table.descriptor,),
            start_new_session=True,
        )
    assert process.stdin
    try:
        process.stdin.write(json.dumps(question).encode() + b"\n")
        process.stdin.flush()
        while process.poll() is None:
            if stop.received and not process.stdin.closed:
                process.stdin.close()
            progress.at(_steps(folder / workdir.LOG))
            time.sleep(_POLL)
    except BrokenPipeError:
        process.wait()
    finally:
        if not process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        process.wait()
    if result.exists():
        return _taken(result)
    if stop.received:
        return None
    code = process.returncode
    how = f"was killed by signal {-code}" if code < 0 else f"failed with exit code {code}"
    if code == -9:
        how += " (so the system does when memory runs out)"
    lines = log.read_text(errors="replace").replace("\r", "\n").splitlines()
    return Failure(run, how, "\n".join(lines[-_SAID:]), log)


def _taken(result: Path) -> dict[str, Any]:
    """Returns what a worker has written, and removes it."""
    row: dict[str, Any] = json.loads(result.read_text())
    result.unlink()
    return row


def _steps(log: Path) -> int:
    """Returns the last step of a log that may be written to just now, 0 before the first."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            lines = file.read().decode(errors="replace").splitlines()[1:]
    except OSError:
        return 0
    steps = [row[0] for row in csv.reader(lines) if row and row[0].isdecimal()]
    return int(steps[-1]) if steps else 0


class _Progress:
    """Shows which run is trained, how far it is, and the time left for all."""

    def __init__(self, total: int, to_do: Sequence[Run], stream: TextIO) -> None:
        self._total = total
        self._to_do = to_do
        self._line = Line(stream)
        self._number = 0
        self._begun = time.monotonic()
        self._before: int | None = None  # steps that an earlier start has done of the current run
        self._did = 0  # steps of the runs that this start has ended

    def begins(self, number: int) -> None:
        """Tells that the run of this number, of those to do, begins."""
        if self._before is not None:
            self._did += self._steps(self._number) - self._before
        self._number, self._before = number, None
        self._line.draw(lambda: self._text(0), now=False)

    def at(self, step: int) -> None:
        """Tells how far the run is."""
        if self._before is None:
            self._before = step
        self._line.draw(lambda: self._text(step), now=False)

    def say(self, text: str) -> None:
        """Writes a line of its own."""
        self._line.say(text)

    def _steps(self, number: int) -> int:
        return int(self._to_do[number].config["steps"])

    def _text(self, step: int) -> str:
        done = self._total - len(self._to_do) + self._number
        run, steps = self._to_do[self._number], self._steps(self._number)
        text = f"{bar(done / self._total)} {done}/{self._total} runs  {run.name}"
        text += f"  step {step}/{steps}" if step else ""
        did = self._did + step - (self._before or 0)
        if not did:
            return text
        left = steps - step + sum(map(self._steps, range(self._number + 1, len(self._to_do))))
        seconds = (time.monotonic() - self._begun) / did * left
        return f"{text}  {duration(seconds)} left"
