"""Measures how fast a recipe's images are read, beside what its training step needs.

Examples:
  data speed --config=digits
      The pipeline with images decoded anew and kept in memory, and INTEGER's training step.
  data speed --config=voc_deeplab --nostep --json=speed.json
      The pipeline alone: the step's network is neither built nor traced.

The three take turns, so that others' work on the machine falls on all alike. The processor time is
of all threads together, and changes little with others' work.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from absl import flags

from tfquantseg.cli import command, outputs, recipes

if TYPE_CHECKING:
    from tfquantseg.analysis.throughput import Throughput

_TITLES = {
    "decoded": "pipeline, decoded anew",
    "cached": "pipeline, kept in memory",
    "step": "training step",
}


def speed(argv: Sequence[str]) -> int:
    """Measures; `argv` is the command line without the action. Returns the exit code."""
    line = recipes.with_path(argv)
    return command.execute(line, about=__doc__ or "", define=_define, work=_speed)


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    recipes.define_config(values, argv)
    flags.DEFINE_float("seconds", 15.0, "Least time to measure each for.", 0.1, flag_values=values)
    flags.DEFINE_boolean("step", True, "Measure the training step too.", flag_values=values)
    outputs.define_json(values, "the numbers")


def _speed(values: flags.FlagValues) -> int:
    from tfquantseg.analysis.throughput import measure
    from tfquantseg.training import recipe
    from tfquantseg.training.bar import Line

    json_to = outputs.json_path(values)
    config = values.config
    recipe.check(config)
    if not math.isfinite(values.seconds):
        raise ValueError(f"--seconds={values.seconds} is not accepted; give a number of seconds.")
    line = Line(sys.stderr)
    found = measure(
        config,
        values.seconds,
        with_step=values.step,
        tell=lambda doing: line.draw(lambda: doing, now=True),
    )
    height, width = config.data.size
    print(
        f"{config.data.name}, {found.examples:,} images of {config.data.train}, "
        f"{config.data.batch} of {height} x {width} at a time\n\n{_table(found)}\n"
    )
    if found.cached is None:
        print("Not all images fit into the data set's option cache_bytes, 1 GiB by default.\n")
    if json_to:
        content = {"data": config.data.name, "policy": config.policy, **found.as_json()}
        print(f"JSON   {outputs.write_json(json_to, content)}")
    print("Next:")
    print(f"  {command.command_line('train')} {recipes.arguments(values)}")
    return 0


def _table(found: Throughput) -> str:
    """The rates, in Markdown."""
    lines = [
        "|  | images a second | processor time an image, ms | times the step | by processor time |",
        "|---|---|---|---|---|",
    ]
    for name, rate in found.rows().items():
        times = rate.times(found.step) if found.step and name != "step" else None
        compared = ("", "") if times is None else tuple(f"{value:.1f}" for value in times)
        lines.append(
            f"| {_TITLES[name]} | {1 / rate.seconds:,.1f} | {1e3 * rate.processor:.2f} "
            f"| {compared[0]} | {compared[1]} |"
        )
    return "\n".join(lines)
