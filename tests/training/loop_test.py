"""The loop: resuming bit for bit, stopping, finishing, refusing."""

import io
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.training.tiny import config
from tfquantseg.training import checkpoints, log, loop, step
from tfquantseg.training.evaluation import Evaluation, Evaluator, load_model
from tfquantseg.training.loop import train

_RUN = """
import pathlib, sys
from tests.training.tiny import config
from tfquantseg.training.loop import train
train(config(), pathlib.Path(sys.argv[1]), sys.stderr)
"""


def _start(workdir: Path) -> subprocess.Popen[bytes]:
    """Starts the tiny run in another process."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", _RUN, str(workdir)], env=environment, stderr=subprocess.DEVNULL
    )


def _wait_for(what: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    while not what():
        assert process.poll() is None, "the run ended before it could be interrupted"
        time.sleep(0.001)


def _rows(workdir: Path) -> list[dict[str, str]]:
    path = workdir / "log.csv"
    return log.read(path) if path.exists() else []


def _state(workdir: Path, step: int) -> dict[str, np.ndarray]:
    """Everything of a checkpoint: weights, optimizer's variables, states of seeds."""
    checkpoint = checkpoints.find(workdir / "checkpoints", "last")
    assert checkpoint.step == step
    weights = load_model(checkpoint).weights
    with np.load(checkpoint.path / "state.npz") as state:
        return {variable.path: variable.numpy() for variable in weights} | dict(state)


def _assert_equal_runs(first: Path, second: Path, step: int) -> None:
    left, right = _state(first, step), _state(second, step)
    assert left.keys() == right.keys()
    assert all(np.array_equal(left[name], right[name]) for name in left)
    for row, same in zip(_rows(first), _rows(second), strict=True):
        assert {**row, "images_per_second": ""} == {**same, "images_per_second": ""}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work directory of the tiny run, done in one go."""
    path = tmp_path_factory.mktemp("uninterrupted")
    outcome = train(config(), path, io.StringIO())
    assert (outcome.status, outcome.step) == ("finished", 40)
    return path


def test_a_run_killed_and_resumed_equals_one_that_was_not(
    uninterrupted: Path, tmp_path: Path
) -> None:
    process = _start(tmp_path)
    # 12 is no step of a checkpoint: what came after step 10 is lost and done again.
    _wait_for(lambda: len(_rows(tmp_path)) >= 12, process)
    process.kill()
    process.wait()
    before = checkpoints.newest(tmp_path / "checkpoints")
    assert before is not None
    assert 0 < before.step < 40
    stream = io.StringIO()
    assert train(config(), tmp_path, stream).status == "finished"
    assert f"Going on in {tmp_path} from step {before.step} of 40." in stream.getvalue()
    _assert_equal_runs(uninterrupted, tmp_path, 40)


class Interrupting(io.StringIO):
    """A stream that gets the process a SIGTERM when step 1 is shown."""

    def write(self, text: str) -> int:
        if "step 1/40" in text:
            signal.raise_signal(signal.SIGTERM)
        return super().write(text)


def test_sigterm_saves_the_step_and_stops(uninterrupted: Path, tmp_path: Path) -> None:
    stream = Interrupting()
    outcome = train(config(), tmp_path, stream)
    assert "Stopping after this step, which is saved; again to end now" in stream.getvalue()
    assert (outcome.status, outcome.step, outcome.signal) == ("stopped", 1, signal.SIGTERM)
    # No checkpoint was due after step 1.
    assert [saved.step for saved in checkpoints.listed(tmp_path / "checkpoints")] == [1]
    assert len(_rows(tmp_path)) == 1
    assert train(config(), tmp_path, io.StringIO()).status == "finished"
    _assert_equal_runs(uninterrupted, tmp_path, 40)


def test_what_a_finished_run_leaves(uninterrupted: Path) -> None:
    folder = uninterrupted / "checkpoints"
    rows = _rows(uninterrupted)
    assert [int(row["step"]) for row in rows] == list(range(1, 41))
    assert [float(rows[step - 1]["learning_rate"]) for step in (30, 31)] == [2.0**-5, 2.0**-6]
    assert [row["step"] for row in rows if row["miou"]] == ["20", "40"]
    scores = json.loads((uninterrupted / "scores.json").read_text())
    assert scores["step"] == 40
    assert scores["split"] == "val[:0.25]"
    assert scores["miou"] == float(rows[-1]["miou"]) == checkpoints.find(folder, "last").miou
    best = checkpoints.find(folder, "best")
    assert best.miou == max(float(row["miou"]) for row in rows if row["miou"])
    assert {checkpoint.step for checkpoint in checkpoints.listed(folder)} == {35, 40, best.step}


def test_tensorboard_finds_curves_monitors_pictures_and_the_table(uninterrupted: Path) -> None:
    (file,) = (uninterrupted / "tensorboard").iterdir()
    steps: dict[str, list[int]] = {}
    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        event = tf.compat.v1.Event.FromString(record)
        for value in event.summary.value:
            steps.setdefault(value.tag, []).append(event.step)
    every, evaluated = list(range(1, 41)), [20, 40]
    assert steps["train/loss"] == steps["train/learning_rate"] == every
    assert steps["val/miou"] == steps["val_iou/background"] == steps["val"] == evaluated
    # Quantized layers have monitors.
    assert steps["lost/stem/kernel"] == steps["at_limit/stem/kernel"] == evaluated
    assert steps["zeroed/stem/E2"] == steps["zeroed/grid_A/A"] == evaluated
    assert steps["objects"] == [0]


def test_training_learns(uninterrupted: Path) -> None:
    losses = [float(row["loss"]) for row in _rows(uninterrupted)]
    # It starts near ln 11 = 2.4; the background alone brings it below half of that.
    assert np.mean(losses[-8:]) < 0.6 * np.mean(losses[:8])


def test_a_finished_run_does_nothing_again(uninterrupted: Path) -> None:
    before = (uninterrupted / "log.csv").stat().st_mtime_ns
    outcome = train(config(), uninterrupted, io.StringIO())
    assert (outcome.status, outcome.step) == ("already finished", 40)
    assert (uninterrupted / "log.csv").stat().st_mtime_ns == before


def test_a_run_that_ended_before_its_scores_writes_them(uninterrupted: Path) -> None:
    scores = (uninterrupted / "scores.json").read_bytes()
    (uninterrupted / "scores.json").unlink()
    assert train(config(), uninterrupted, io.StringIO()).status == "finished"
    assert (uninterrupted / "scores.json").read_bytes() == scores


def test_another_config_is_refused(uninterrupted: Path) -> None:
    with pytest.raises(ValueError, match=r"config.seed is 3 there and 4 now"):
        train(config(seed=4), uninterrupted, io.StringIO())


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("data", {"size": (60, 60), "multiple": 1}, "60 x 60 pixels do not fit .* multiples of 8"),
        ("data", {"options": {"size": (8, 8)}}, "Size .* is not accepted"),
        ("model", {"name": "residual_unett"}, "residual_unett"),
        ("optimizer", {"learning_rate": 0.1}, "learning rate 0.1 is not on"),
        ("data", {"fit": "corp"}, "fit='corp' is not known"),
    ],
)
def test_a_config_that_nothing_can_be_built_of_leaves_no_directory(
    tmp_path: Path, part: str, change: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        train(config(**{part: change}), tmp_path / "run", io.StringIO())
    assert not (tmp_path / "run").exists()


def test_halvings_behind_the_last_step_are_told(tmp_path: Path) -> None:
    stream = io.StringIO()
    optimizer = {**config().optimizer, "boundaries": (1, 2, 7)}
    train(config(steps=2, optimizer=optimizer), tmp_path, stream)
    told = "The last step is 2: the learning rate is not halved at 2, 7, as config.optimizer."
    assert stream.getvalue().splitlines()[:2] == [
        f"Training in {tmp_path}",
        f"{told}boundaries says.",
    ]


def test_an_evaluation_that_fails_loses_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(evaluator: Evaluator, step: int) -> Evaluation:
        raise ValueError("a.png is corrupt; replace it.")

    short = config(policy="FLOAT", rules=(), steps=3, evaluate_every=2)
    with monkeypatch.context() as broken:
        broken.setattr(Evaluator, "evaluate", fail)
        with pytest.raises(ValueError, match=r"^a.png is corrupt"):
            train(short, tmp_path, io.StringIO())
    assert [saved.step for saved in checkpoints.listed(tmp_path / "checkpoints")] == [2]
    assert train(short, tmp_path, io.StringIO()).status == "finished"
    assert [row["step"] for row in _rows(tmp_path)] == ["1", "2", "3"]


def test_an_image_that_cannot_be_read_loses_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two_batches(*arguments: Any) -> Iterator[Any]:
        yield from itertools.islice(step.training_batches(*arguments), 2)
        raise ValueError("a.png is corrupt; replace it.")

    short = config(policy="FLOAT", rules=(), steps=3)
    with monkeypatch.context() as broken:
        broken.setattr(loop, "training_batches", two_batches)
        with pytest.raises(ValueError, match=r"^a.png is corrupt"):
            train(short, tmp_path, io.StringIO())
    # No checkpoint was due after step 2.
    assert [saved.step for saved in checkpoints.listed(tmp_path / "checkpoints")] == [2]
    assert train(short, tmp_path, io.StringIO()).status == "finished"
    assert [row["step"] for row in _rows(tmp_path)] == ["1", "2", "3"]


def test_nothing_is_traced_again_after_an_epoch_an_evaluation_or_a_resuming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def recorded(*arguments: Any, **options: Any) -> step.Step:
        made.append(step.training_step(*arguments, **options))
        return made[-1]

    def three_batches(*arguments: Any) -> Iterator[Any]:
        yield from itertools.islice(step.training_batches(*arguments), 3)
        raise ValueError("a.png is corrupt; replace it.")

    # 2 steps an epoch and one image left over, an evaluation and its monitors at each epoch's end.
    data = {**config().data, "options": {"size": (64, 64), "scenes": 5}}
    short = config(steps=6, evaluate_every=2, data=data)
    monkeypatch.setattr(loop, "training_step", recorded)
    with monkeypatch.context() as broken:
        broken.setattr(loop, "training_batches", three_batches)
        with pytest.raises(ValueError, match=r"^a.png is corrupt"):
            train(short, tmp_path, io.StringIO())
    assert train(short, tmp_path, io.StringIO()).status == "finished"
    assert [row["step"] for row in _rows(tmp_path) if row["miou"]] == ["2", "4", "6"]
    assert [one.experimental_get_tracing_count() for one in made] == [1, 1]


def test_a_checkpoint_of_another_run_is_refused(uninterrupted: Path, tmp_path: Path) -> None:
    other = config(steps=50)
    (tmp_path / "checkpoints").mkdir()
    foreign = checkpoints.find(uninterrupted / "checkpoints", "last").path
    (tmp_path / "checkpoints" / foreign.name).symlink_to(foreign)
    with pytest.raises(ValueError, match=r"config.steps is 40 there and 50 in this run"):
        train(other, tmp_path, io.StringIO())


def test_a_loss_that_is_not_finite_stops_and_names_the_layer(tmp_path: Path) -> None:
    broken = config(policy="FLOAT", rules=(), checkpoint_every=1)
    broken.optimizer.learning_rate = 1e30
    with pytest.raises(
        FloatingPointError,
        match=r"Step \d+ failed: the loss is nan, the gradient of \w+/kernel and \d+ before it is "
        r"not finite. The last good checkpoint is .*step_0000000\d",
    ):
        train(broken, tmp_path, io.StringIO())
    newest = checkpoints.newest(tmp_path / "checkpoints")
    assert newest is not None
    assert newest.step == len(_rows(tmp_path))
