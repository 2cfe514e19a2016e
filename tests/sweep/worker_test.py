"""What a row says of a run, by tiny runs."""

import csv
import io
import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict

from tests.training import tiny
from tfquantseg import metrics
from tfquantseg.sweep import worker
from tfquantseg.training import checkpoints, child, evaluation, parts, recipe


def config(**changes: object) -> ConfigDict:
    """A run of 6 steps."""
    return tiny.config(rules=(), steps=6, evaluate_every=6, checkpoint_every=2, **changes)


def test_a_finished_run(tmp_path: Path) -> None:
    path = tmp_path / "run"
    row = worker.measured(config(), path)
    assert row is not None
    assert (row["outcome"], row["steps"], row["why"]) == ("finished", 6, None)
    scores = json.loads((path / "scores.json").read_text())
    assert row["miou"] == scores["miou"]
    losses = [float(line["loss"]) for line in csv.DictReader(io.StringIO(log(path)))]
    # Two orders of summing six numbers.
    assert row["loss"] == pytest.approx(sum(losses) / 6, rel=1e-12)
    assert 0 < row["seconds"] < 300

    data = parts.data(config(), config().data.val)
    model = evaluation.load_model(checkpoints.find(path / "checkpoints", "last"))
    counts = []
    for example in data.examples:
        image, label = example.decode()
        guess = np.argmax(model(image[np.newaxis].astype(np.float32), training=False), -1)
        near = metrics.near_boundary(label[np.newaxis], metrics.BOUNDARY)
        counts.append(metrics.confusion_matrices(near, guess, len(data.classes)))
    assert row["boundary_miou"] == metrics.scores(np.concatenate(counts)).miou
    assert row["boundary_miou"] != row["miou"]

    # Found finished, as where the sweep was killed before it appended the row: all but the time.
    assert worker.measured(config(), path) == {**row, "seconds": None}


def test_a_run_that_diverges(tmp_path: Path) -> None:
    made = config()
    made.optimizer.learning_rate = 1e30
    row = worker.measured(made, tmp_path / "run")
    assert row is not None
    assert (row["outcome"], row["miou"], row["loss"]) == ("diverged", None, None)
    assert row["why"].startswith(f"Step {row['steps'] + 1} failed: ")
    assert row["why"].endswith("is not finite.") or "the loss is" in row["why"]
    assert worker.measured(made, tmp_path / "run") == row


def log(path: Path) -> str:
    """The log of a run, as far as it is."""
    file = path / "log.csv"
    return file.read_text() if file.exists() else ""


def test_the_end_of_its_input_saves_and_ends_it(tmp_path: Path) -> None:
    path, result = tmp_path / "run", tmp_path / "result"
    long = recipe.plain(config())
    long["steps"], long["evaluate_every"] = 100_000, 100_000
    process = subprocess.Popen(
        child.command("tfquantseg.sweep.worker"),
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=child.environment(),
    )
    assert process.stdin
    asked = {"config": long, "workdir": str(path), "result": str(result)}
    process.stdin.write(f"{json.dumps(asked)}\n".encode())
    process.stdin.flush()
    deadline = time.monotonic() + 120  # of a machine that does much else
    while log(path).count("\n") < 4:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.stdin.close()
    assert process.wait(60) in (0, -signal.SIGTERM)
    assert not result.exists()
    saved = checkpoints.newest(path / "checkpoints")
    assert saved is not None and saved.step >= 3
