"""Runs in processes of their own, played by a program that trains nothing and is quick."""

import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from tests.sweep.made import described
from tests.training import tiny
from tfquantseg.sweep import table, training
from tfquantseg.sweep.description import Sweep, sweep_of
from tfquantseg.training.signals import StopRequest

# Does what tfquantseg.sweep.worker does: a log that grows, and a file with the result. The policy's
# changes say how it ends.
WORKER = """
import json, os, pathlib, sys, time
question = json.loads(sys.stdin.readline())
work = pathlib.Path(question["workdir"])
work.mkdir(exist_ok=True)
with (work / "log.csv").open("a") as log:
    if log.tell() == 0:
        log.write("step,loss\\n")
    log.write("7,0.5\\n")
with (work.parent / "started").open("a") as started:
    started.write(work.name + "\\n")
how = question["config"]["policy"]
if how == "waits":
    sys.stdin.read()
    sys.exit(143)
if how == "fails":
    sys.exit("Error: no such thing")
if how == "dies":
    os.kill(os.getpid(), 9)
names = ("miou", "miou_per_image", "boundary_miou", "pixel_accuracy", "loss", "seconds")
scores = dict.fromkeys(names, 0.5)
row = {"outcome": "finished", **scores, "steps": 40, "why": None, "own_kernels": True}
if how == "diverges":
    row |= {"outcome": "diverged", **dict.fromkeys(names), "why": "Step 8 failed: the loss is nan."}
pathlib.Path(question["result"]).write_text(json.dumps(row))
"""


def sweep(*policies: str, seeds: tuple[int, ...] = (0,)) -> Sweep:
    """A variant for each way in which a run may end."""
    variants = tuple({"name": name, "changes": {"policy": name}} for name in policies)
    description = described(variants=variants, baseline=policies[0], seeds=seeds)
    return sweep_of("mine", description, {"tiny": tiny.config()})


@pytest.fixture(autouse=True)
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The worker is the program above; returns its file."""
    file = tmp_path / "worker.py"
    file.write_text(WORKER)
    monkeypatch.setattr(training.child, "command", lambda module: [sys.executable, str(file)])
    return file


def trained(chosen: Sweep, folder: Path, stop: StopRequest | None = None) -> tuple[Any, str]:
    """Trains all; returns the failures and what was shown."""
    stream = io.StringIO()
    with table.opened(folder / "runs.jsonl") as opened:
        failures = training.train_all(
            chosen, chosen.runs, opened, folder / "work", stream, stop or StopRequest()
        )
    return failures, stream.getvalue()


def started(folder: Path) -> list[str]:
    """The work directories of the runs that were started, in order."""
    return (folder / "work" / "started").read_text().split()


def test_each_finished_run_is_a_row(tmp_path: Path) -> None:
    chosen = sweep("one", "two", seeds=(0, 1))
    failures, shown = trained(chosen, tmp_path)
    rows = table.read(tmp_path / "runs.jsonl")
    assert not failures
    assert list(rows) == [run.key for run in chosen.runs]
    assert [row["for"] for row in rows.values()] == [
        "mine: one, seed 0", "mine: two, seed 0", "mine: one, seed 1", "mine: two, seed 1",
    ]  # fmt: skip
    assert "one, seed 0: mIoU 50.00%, loss 0.5" in shown
    assert "[#####---------------] 1/4 runs  two, seed 0" in shown


def test_what_the_table_holds_is_not_trained_again(tmp_path: Path) -> None:
    trained(sweep("one", "two"), tmp_path)
    # The list has changed: one variant has gone, one has come, and the names are others.
    changed = sweep("three", "two")
    trained(changed, tmp_path)
    assert len(started(tmp_path)) == 3
    assert started(tmp_path)[2] == changed.runs[0].key
    assert len(table.read(tmp_path / "runs.jsonl")) == 3


def test_a_run_that_diverges_is_a_row_and_the_next_is_trained(tmp_path: Path) -> None:
    failures, shown = trained(sweep("diverges", "one"), tmp_path)
    rows = list(table.read(tmp_path / "runs.jsonl").values())
    assert not failures
    assert [row["outcome"] for row in rows] == ["diverged", "finished"]
    assert rows[0]["why"] == "Step 8 failed: the loss is nan."
    assert rows[0]["miou"] is None
    assert "diverges, seed 0: diverged. Step 8 failed: the loss is nan." in shown
    trained(sweep("diverges", "one"), tmp_path)
    assert len(started(tmp_path)) == 2


def test_a_result_that_became_no_row_is_not_trained_again(tmp_path: Path) -> None:
    chosen = sweep("one", "two")
    trained(chosen, tmp_path)
    path = tmp_path / "runs.jsonl"
    first, second = path.read_text().splitlines()
    path.write_text(f"{second}\n")
    row = {key: value for key, value in json.loads(first).items() if key not in ("key", "config")}
    (tmp_path / "work" / f"{chosen.runs[0].key}.json").write_text(json.dumps({**row, "miou": 0.25}))
    _, shown = trained(chosen, tmp_path)
    assert len(started(tmp_path)) == 2
    assert "one, seed 0: mIoU 25.00%" in shown
    assert not list((tmp_path / "work").glob("*.json"))


@pytest.mark.parametrize(
    ("how", "told", "said"),
    [
        ("fails", "failed with exit code 1", "Error: no such thing"),
        ("dies", "was killed by signal 9 (so the system does when memory runs out)", ""),
    ],
)
def test_a_run_that_fails_is_no_row(tmp_path: Path, how: str, told: str, said: str) -> None:
    (failure,), shown = trained(sweep(how, "one"), tmp_path)
    assert (failure.run.variant, failure.how, failure.said) == (how, told, said)
    assert f"{how}, seed 0: {told}; see {failure.log}." in shown
    assert [row["for"] for row in table.read(tmp_path / "runs.jsonl").values()] == [
        "mine: one, seed 0"
    ]
    # It is tried once more.
    assert len(trained(sweep(how, "one"), tmp_path)[0]) == 1
    assert len(started(tmp_path)) == 3


def test_a_signal_stops_the_run_and_begins_no_other(tmp_path: Path) -> None:
    class Later(StopRequest):
        """A signal that comes when the first run has been seen at a step."""

        @property
        def received(self) -> int | None:  # type: ignore[override]
            return signal.SIGTERM if (tmp_path / "work" / "started").exists() else None

        @received.setter
        def received(self, value: int | None) -> None:
            pass

    failures, _ = trained(sweep("waits", "one"), tmp_path, Later())
    assert not failures
    assert len(started(tmp_path)) == 1
    assert table.read(tmp_path / "runs.jsonl") == {}


def test_a_worker_keeps_the_table_locked_until_it_has_ended(tmp_path: Path, played: Path) -> None:
    program = f"""
        import sys
        from pathlib import Path
        from tests.sweep.training_test import sweep, trained
        from tfquantseg.sweep import training
        training.child.command = lambda module: [sys.executable, {str(played)!r}]
        trained(sweep("one", "waits"), Path({str(tmp_path)!r}))
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], env=training.child.environment()
    )
    begun = tmp_path / "work" / "started"
    deadline = time.monotonic() + 60  # of a machine that does much else
    while not begun.exists() or len(started(tmp_path)) < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    # The worker's input has ended, so it ends too, and frees the table.
    while True:
        assert time.monotonic() < deadline
        try:
            failures, _ = trained(sweep("one", "two"), tmp_path)
            break
        except ValueError as error:
            assert "in use" in str(error)
            time.sleep(0.05)
    assert not failures
    # The row that was there when the sweep was killed has been kept.
    rows = [json.loads(line)["for"] for line in (tmp_path / "runs.jsonl").read_text().splitlines()]
    assert rows == ["mine: one, seed 0", "mine: two, seed 0"]
    assert len(started(tmp_path)) == 3
