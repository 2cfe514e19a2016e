"""The process that trains one run of a sweep, and ends with the one that started it.

It reads one line of JSON, {"config": ..., "workdir": ..., "result": ...}, from its standard input,
trains, or goes on training, and writes what a row says of the run to the file `result`. The input
stays open: its end means that nobody waits any more, and is taken as SIGTERM, which saves a
checkpoint first.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from tfquantseg import kernels
from tfquantseg.sweep.table import DIVERGED, FINISHED
from tfquantseg.training import checkpoints, evaluation, log, parts, whole, workdir
from tfquantseg.training.loop import train

LAST = 100
"""Steps over which the last training loss is taken."""


def measured(config: ConfigDict, path: Path) -> dict[str, Any] | None:
    """Trains a run to its end and scores it.

    Args:
        config: complete.
        path: the run's work directory; a run that was interrupted there goes on.

    Returns:
        What a row says of it, but for its key, its name and its config; None where a signal has
        stopped it, in which case a checkpoint was saved.

    Raises:
        ValueError: the config, the data, or what the directory holds is not accepted.
        OSError: the directory cannot be written.
    """
    begun = time.monotonic()
    anew = not (path / workdir.CONFIG).exists()
    own_kernels = not kernels.why_not()
    try:
        if train(config, path, sys.stderr).status == "stopped":
            return None
    except FloatingPointError as error:
        why = str(error).split(". ", 1)[0] + "."
        steps = len(log.read(path / workdir.LOG))
        return _row(DIVERGED, why=why, steps=steps, own_kernels=own_kernels)
    # Of a run that was interrupted, nobody has taken the time.
    seconds = round(time.monotonic() - begun, 1) if anew else None
    scores = json.loads((path / workdir.SCORES).read_text())
    losses = [float(row["loss"]) for row in log.read(path / workdir.LOG)[-LAST:]]
    model = evaluation.load_model(checkpoints.find(path / workdir.CHECKPOINTS, "last"))
    evaluator = evaluation.Evaluator(model, parts.data(config, config.data.val), config)
    return _row(
        FINISHED,
        **{name: scores[name] for name in ("miou", "miou_per_image", "pixel_accuracy")},
        boundary_miou=evaluator.boundary_miou(),
        loss=float(np.mean(losses)),
        seconds=seconds,
        steps=config.steps,
        own_kernels=own_kernels,
    )


def _row(outcome: str, **known: Any) -> dict[str, Any]:
    names = ("miou", "miou_per_image", "boundary_miou", "pixel_accuracy", "loss", "seconds", "why")
    return {"outcome": outcome, **dict.fromkeys(names), **known}


def _end_with_the_parent() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """The program."""
    question = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    path = Path(question["workdir"])
    try:
        row = measured(ConfigDict(question["config"]), path)
    except (ValueError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    if row is not None:
        whole.write_whole(Path(question["result"]), json.dumps(row).encode())


if __name__ == "__main__":
    main()
