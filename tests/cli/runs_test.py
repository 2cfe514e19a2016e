"""What a run says of the step that a command takes of it."""

import fcntl
import json
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from tfquantseg.cli import runs
from tfquantseg.training import checkpoints


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A work directory with checkpoints of steps 100 and 200, the first of which is the best."""
    for step, miou in ((100, 0.5), (200, 0.25)):
        folder = tmp_path / "checkpoints" / f"step_{step:08d}"
        folder.mkdir(parents=True)
        about = {"step": step, "miou": miou, "config": {}}
        of_model = dict.fromkeys(("architecture", "weights", "optimizer"))
        (folder / "checkpoint.json").write_text(json.dumps(about | of_model))
    return tmp_path


def _told(run: Path, which: str, steps: int = 300) -> str:
    found = checkpoints.find(run / "checkpoints", which)
    return runs.unfinished(str(run), ConfigDict({"steps": steps}), found)


def test_an_unfinished_run_is_told_with_who_trains_it(run: Path) -> None:
    assert _told(run, "last") == "This run has saved step 200 of 300"
    with (run / "lock").open("w+") as lock:
        lock.write("1234")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = _told(run, "last")
    assert told == "This run has saved step 200 of 300 (and process 1234 trains there now)"


def test_a_step_before_the_last_is_told_of_a_finished_run_too(run: Path) -> None:
    assert _told(run, "best", steps=200) == "This run has saved step 200 of 200"
    assert _told(run, "last", steps=200) == ""
