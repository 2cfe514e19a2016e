"""Trains a segmentation network by a recipe.

Examples:
  train
      The default: handwritten digits on photographs, 8-bit integers in every convolution.
  train --config=configs/camvid_fcn8s.py --config.policy=FLOAT --workdir=/tmp/camvid-float
      Another recipe, one value of it changed.

The same command again goes on where it stopped. SIGTERM and Ctrl-C finish the step and save it; a
second one ends at once, and what came after the last checkpoint is lost. The exit code is then 143
or 130. Without --workdir, files go to tfquantseg-runs/NAME in the current folder, NAME being the
recipe's.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tfquantseg.cli import command, recipes, runs


def main(argv: Sequence[str]) -> int:
    """Trains; `argv` is the command line. Returns the exit code."""
    line = recipes.with_path(argv)
    return command.execute(line, about=__doc__ or "", define=_define, work=_train)


def run() -> None:
    """The program."""
    command.run(main)


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    recipes.define_config(values, argv)
    flags.DEFINE_string(
        "workdir",
        str(recipes.RUNS / recipes.name(argv)),
        "Folder for checkpoints, log and scores.",
        flag_values=values,
    )


def _train(values: flags.FlagValues) -> int:
    from tfquantseg.training import parts, workdir
    from tfquantseg.training.loop import train

    path = Path(values.workdir)
    where = command.shown(path)
    outcome = train(values.config, path, sys.stderr)
    if outcome.status == "stopped":
        print(
            f"Stopped by signal {outcome.signal} after step {outcome.step}, which is saved in "
            f"{where}. Type the same command again to go on."
        )
        return command.STOPPED + (outcome.signal or 0)
    if outcome.evaluation:
        print(f"\n{outcome.evaluation.table()}\n")
    else:
        print(f"This run has finished before, after step {outcome.step}: nothing to do.")
    print(f"Scores       {where}/{workdir.SCORES}")
    print(f"Log          {where}/{workdir.LOG}")
    print(f"TensorBoard  {where}/{workdir.BOARD} (curves, monitors, pictures)")
    print(f"Objects      {where}/{workdir.OBJECTS} (bits, limit and step, layer by layer)")
    print(f"Checkpoints  {where}/{workdir.CHECKPOINTS} (the last few, and the best)")
    print("Next:")
    run = shlex.quote(f"--workdir={where}")
    show = shlex.join([f"--split={values.config.data.val}", f"--out={where}-predictions"])
    print(f"  {command.command_line('predict')} {run} {show}")
    are_float = [policy.is_float for _, policy in parts.rules(values.config).rules]
    if all(are_float):
        print(f"  {command.command_line('analyze')} {run}")
        print(f"  {command.command_line('compare')} {run}  # ways from here to an int8 file")
        integer = shlex.quote(f"--workdir={where}-integer")
        given = recipes.arguments(values, policy=runs.INTEGER)
        print(f"  {command.command_line('train')} {given} {integer}  # the same in integers")
        return 0
    print(f"  {command.command_line('evaluate')} {run} --scales=dynamic")
    print(f"  {command.command_line('audit')} {recipes.arguments(values)}")
    print(f"  {command.command_line('analyze')} {run}")
    if not any(are_float):
        print(f"  {command.command_line('convert')} {run}")
    return 0
