"""Scores a trained model on a split: mIoU, mIoU per image, pixel accuracy, IoU of each class.

Examples:
  evaluate --workdir=tfquantseg-runs/digits --split=test
      The last checkpoint, on a split of the run's data set.
  evaluate --workdir=tfquantseg-runs/digits --split=val --checkpoint=best --json=scores.json
      The best one, for machines too.
  evaluate --workdir=my-integer-run --baseline=my-float-run
      Beside another run on the same images.
  evaluate --workdir=my-run --model=my-run/export/model_int8.tflite
      A file that convert wrote, as a device runs it, on the data of its run.

A quantized model takes the scales of its activations from estimates kept while training
(--scales=running), as an exported file does, or from each batch itself (--scales=dynamic), as
training does. The scores say which.

The interval beside the mIoU says how far it moves with another choice of images: the images are
drawn again with replacement, 2,000 times. With --baseline the same draws score another run too, and
the interval is that of the difference, in which what is hard for both cancels.
"""

from __future__ import annotations

import dataclasses
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from absl import flags

from tfquantseg.cli import command, outputs, runs

if TYPE_CHECKING:
    from tfquantseg.metrics import Counts
    from tfquantseg.training.evaluation import Evaluation


def main(argv: Sequence[str]) -> int:
    """Evaluates; `argv` is the command line. Returns the exit code."""
    return command.execute(argv, about=__doc__ or "", define=_define, work=_evaluate)


def run() -> None:
    """The program."""
    command.run(main)


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    del argv
    runs.define_workdir(values, required=False)
    runs.define_scales(values)
    runs.define_delegate(values)
    flags.DEFINE_string(
        "split",
        None,
        "Split of the run's data set, such as val, test or train[:0.1]. Default: the one that the "
        "run was validated on.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "baseline",
        None,
        "Folder of another training on the same data set, to compare with.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "model",
        None,
        "In place of the checkpoint of --workdir, a .tflite file that was converted from it.",
        flag_values=values,
    )
    outputs.define_json(values, "the scores")


def _evaluate(values: flags.FlagValues) -> int:
    from tfquantseg.metrics import bootstrap_difference

    _check_flags(values)
    json_to = outputs.json_path(values)
    run = _scored_file(values) if values.model else _scored(values.workdir, values.split, values)
    print(f"{run.evaluation.table()}\n")
    as_json = run.evaluation.as_json()
    if values.baseline:
        baseline = _scored(values.baseline, run.evaluation.split, values)
        if baseline.evaluation.data != run.evaluation.data:
            raise ValueError(
                f"{values.baseline} was trained on {baseline.evaluation.data}, "
                f"{values.workdir} on {run.evaluation.data}; a baseline has the same data set."
            )
        difference = bootstrap_difference(run.counts, baseline.counts)
        print(f"Baseline {command.shown(baseline.model)}\n\n{baseline.evaluation.table()}\n")
        print(
            f"mIoU against the baseline  {100 * difference.estimate:+.2f} points  "
            f"({difference.level:.0%} of resampled image sets: {100 * difference.low:+.2f} to "
            f"{100 * difference.high:+.2f})\n"
        )
        as_json["baseline"] = baseline.evaluation.as_json()
        as_json["difference"] = dataclasses.asdict(difference)
    print(f"Model  {command.shown(run.model)}")
    if json_to:
        print(f"JSON   {outputs.write_json(json_to, as_json)}")
    other = "dynamic" if values.scales == "running" else "running"
    where = shlex.quote(f"--workdir={command.shown(Path(values.workdir))}")
    print("Next:")
    if run.evaluation.scales is None:
        print(f"  {command.command_line('compare')} {where}")
    else:
        print(
            f"  {command.command_line('evaluate')} {where} "
            f"--split={shlex.quote(run.evaluation.split)} --scales={other}"
        )
    return 0


def _check_flags(values: flags.FlagValues) -> None:
    if not values.workdir:
        raise ValueError(
            "Give --workdir too: the run whose data and split the file is scored on."
            if values.model
            else "Give --workdir: the folder that a training made."
        )
    runs.check_delegate(values)
    if values.model and not values.model.endswith(".tflite"):
        raise ValueError(
            f"--model is {values.model!r}; accepted is a .tflite file. Checkpoints of a run are "
            "scored by --workdir alone."
        )
    for flag in ("checkpoint", "scales"):
        if values.model and values[flag].present:
            raise ValueError(f"--{flag} chooses of a --workdir; with --model leave it out.")


def _scored_file(values: flags.FlagValues) -> _Run:
    """Scores a `.tflite` file on a split of the data of a run."""
    from ml_collections import ConfigDict

    from tfquantseg.export import FileNetwork
    from tfquantseg.training import parts, workdir
    from tfquantseg.training.bar import Count
    from tfquantseg.training.evaluation import evaluation_of
    from tfquantseg.training.image_scores import counts_of

    file = Path(values.model)
    network = FileNetwork(file, delegate=values.delegate)
    config = ConfigDict(workdir.read_config(Path(values.workdir)))
    data = parts.data(config, values.split or config.data.val)
    if network.classes != len(data.classes):
        raise ValueError(
            f"{file} returns the logits of {network.classes} classes, and {data.name} has "
            f"{len(data.classes)}; give the --workdir that the file was converted from."
        )
    bar = Count(len(data), "images", sys.stderr)
    counts = counts_of(network.classify, data, config, network.size, seen=bar.step)
    step = int(network.about.get("step", 0))
    return _Run(evaluation_of(counts, data, step, "frozen"), counts, file)


class _Run(NamedTuple):
    evaluation: Evaluation
    counts: Counts
    model: Path


def _scored(folder: str, split: str | None, values: flags.FlagValues) -> _Run:
    """Scores the run in a folder on a split, or on the one that it was validated on."""
    from tfquantseg.training import parts
    from tfquantseg.training.evaluation import Evaluator, load_model

    config, checkpoint = runs.load(folder, values.checkpoint)
    data = parts.data(config, split or config.data.val)
    evaluator = Evaluator(load_model(checkpoint), data, config, values.scales)
    counts = evaluator.counts()
    return _Run(evaluator.score(counts, checkpoint.step), counts, checkpoint.model)
