"""Scores a trained model on a split: mIoU, mIoU per image, pixel accuracy, IoU of each class.

Examples:
  evaluate --workdir=tfquantseg-runs/digits --split=test
  evaluate --workdir=tfquantseg-runs/digits --split=val --checkpoint=best --json=scores.json

A quantized model takes the scales of its activations from estimates kept while training
(--scales=running), as an exported file does, or from each batch itself (--scales=dynamic), as
training does. The scores say which.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tfquantseg.cli import command


def main(argv: Sequence[str]) -> int:
    """Evaluates; `argv` is the command line. Returns the exit code."""
    return command.execute(argv, about=__doc__ or "", define=_define, work=_evaluate)


def run() -> None:
    """The program."""
    command.run(main)


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    del argv
    flags.DEFINE_string("workdir", None, "Folder that a training made.", flag_values=values)
    flags.mark_flag_as_required("workdir", flag_values=values)
    flags.DEFINE_string(
        "split",
        None,
        "Split of the run's data set, such as val, test or train[:0.1]. Default: the one that the "
        "run was validated on.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "scales",
        "running",
        ["running", "dynamic"],
        "Scales of the activations: estimated while training, or each batch's own.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "checkpoint",
        "last",
        ["best", "last"],
        "Which checkpoint: of the latest step, or of the highest mIoU while training.",
        flag_values=values,
    )
    flags.DEFINE_string("json", None, "Write the scores to this file too.", flag_values=values)


def _evaluate(values: flags.FlagValues) -> int:
    from ml_collections import ConfigDict

    from tfquantseg.training import checkpoints, parts, recipe, whole, workdir
    from tfquantseg.training.evaluation import Evaluator, load_model

    if values.json:
        whole.check_writable(Path(values.json))
    path = Path(values.workdir)
    config = ConfigDict(workdir.read_config(path))
    checkpoint = checkpoints.find(path / workdir.CHECKPOINTS, values.checkpoint)
    checkpoints.check_config(checkpoint, recipe.plain(config))
    split = values.split or config.data.val
    evaluator = Evaluator(load_model(checkpoint), parts.data(config, split), config, values.scales)
    evaluation = evaluator.evaluate(checkpoint.step)
    print(f"{evaluation.table()}\n")
    print(f"Model  {command.shown(checkpoint.model)}")
    if values.json:
        to = Path(values.json)
        whole.write_whole(to, json.dumps(evaluation.as_json(), indent=2).encode() + b"\n")
        print(f"JSON   {command.shown(to)}")
    other = "dynamic" if evaluation.scales == "running" else "running"
    print("Next:")
    print(
        f"  {command.command_line('evaluate')} --workdir={shlex.quote(command.shown(path))} "
        f"--split={shlex.quote(split)} --scales={other}"
    )
    return 0
