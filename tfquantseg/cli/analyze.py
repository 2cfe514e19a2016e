"""Draws what the paper's figures show, of any run: a picture and its numbers each.

Examples:
  analyze --workdir=tfquantseg-runs/digits
      All figures that apply, to tfquantseg-runs/digits/analysis.
  analyze --workdir=integer-run --workdir=float-run --figures=loss,panels --out=compared
      Runs side by side; the other figures are of the first one.
  analyze --sweep=docs/results/paper.jsonl --out=paper
      Of the table of a sweep.

Figures, and which of the paper's (arXiv:2011.14504) shows the same:
  distributions  magnitudes of W, A, E1, E2 and G in one training step                 Figure 3
  gradients      G of the most compact layer and of the most scattered one             Figure 6
  levels         the integers that W, A, E1, E2 and G became
  loss           training loss and validation mIoU by step; of several runs            Figure 8
  magnitudes     largest |G| of a layer, by step, over the checkpoints that were kept  Figure 9
  norms          quartiles of batch norm's sigma, mu, gamma and beta                   Figure 2
  panels         image, ground truth, predictions; of several runs                     Figures 7, 11
  weights        W of encoder and decoder, initial and last                            Figure 12
  zeroed         the share that its grid rounds to zero, layer by layer
  bits           mIoU against k_U, of --sweep                                          Figure 10

A run keeps its last two checkpoints and the best; train with --config.keep=100 to keep more of its
course.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from tfquantseg.cli import command, outputs, recipes

if TYPE_CHECKING:
    from tfquantseg.analysis.figure import Figure
    from tfquantseg.analysis.run import Run
    from tfquantseg.data import SegmentationData
    from tfquantseg.sweep.table import Row

OF_RUNS = (
    "distributions",
    "gradients",
    "levels",
    "loss",
    "magnitudes",
    "norms",
    "panels",
    "weights",
    "zeroed",
)
OF_SWEEP = ("bits",)


def main(argv: Sequence[str]) -> int:
    """Analyzes; `argv` is the command line. Returns the exit code."""
    return command.execute(argv, about=__doc__ or "", define=_define, work=_analyze)


def run() -> None:
    """The program."""
    command.run(main)


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    del argv
    flags.DEFINE_multi_string(
        "workdir",
        [],
        "Folder that a training made. Give the flag again for runs to compare with.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "sweep", None, "In place of --workdir, the table of a sweep.", flag_values=values
    )
    flags.DEFINE_list("figures", [], "Figures. Default: all that apply.", flag_values=values)
    flags.DEFINE_string(
        "out",
        None,
        "Folder to write to. Default: analysis in the first --workdir, or here for a --sweep.",
        flag_values=values,
    )
    outputs.define_overwrite(values, "figures there")
    outputs.define_json(values, "all numbers")


def _analyze(values: flags.FlagValues) -> int:
    from tfquantseg.analysis import figure

    if bool(values.workdir) == bool(values.sweep):
        received = "both" if values.sweep else "neither"
        raise ValueError(f"Give either --workdir or --sweep; received {received}.")
    names = _chosen(values.figures, OF_SWEEP if values.sweep else OF_RUNS, values)
    first = Path(values.workdir[0]) / "analysis" if values.workdir else Path("analysis")
    folder = Path(values.out) if values.out else first
    json_to = outputs.json_path(values)
    rows = _rows(Path(values.sweep)) if values.sweep else {}
    makers = _of_sweep(rows) if values.sweep else _of_runs(values.workdir)
    figure.check_free(names, folder, overwrite=values.overwrite)
    made: dict[str, Figure] = {}
    for name in names:
        try:
            made[name] = makers[name]()
        except _DoesNotApply as error:
            if values.figures:
                raise ValueError(str(error)) from error
            print(f"Left out: {name}. {error}", file=sys.stderr, flush=True)
            continue
        folder.mkdir(parents=True, exist_ok=True)
        made[name].write(folder)
        print(f"{name:<13}  {command.shown(folder / name)}.png, .csv", flush=True)
    if json_to:
        numbers = {name: one.as_json() for name, one in made.items()}
        print(f"JSON           {outputs.write_json(json_to, numbers)}")
    _print_next(values, rows)
    return 0


class _DoesNotApply(ValueError):
    """A figure shows what a run does not have."""


def _chosen(
    asked: Sequence[str], accepted: Sequence[str], values: flags.FlagValues
) -> tuple[str, ...]:
    from tfquantseg.names import unknown_name

    for name in asked:
        if name in (*OF_RUNS, *OF_SWEEP) and name not in accepted:
            needed = "--workdir" if values.sweep else "--sweep"
            raise ValueError(f"Figure {name!r} is made of a {needed}; give one in place of this.")
        if name not in accepted:
            raise unknown_name("figure", name, accepted)
    return tuple(name for name in accepted if not asked or name in asked)


def _rows(table: Path) -> dict[str, Row]:
    from tfquantseg.sweep import table as tables

    if not table.is_file():
        raise FileNotFoundError(
            f"There is no table {table}; give as --sweep the file that sweep wrote as --table."
        )
    rows = tables.read(table)
    if not rows:
        raise ValueError(f"{table} is empty: no run has finished. Let the sweep train some.")
    return rows


def _of_sweep(rows: dict[str, Row]) -> dict[str, Callable[[], Figure]]:
    from tfquantseg.analysis.bits import bits

    return {"bits": lambda: bits(rows)}


def _of_runs(paths: Sequence[str]) -> dict[str, Callable[[], Figure]]:
    """Returns what makes each figure, after it has been checked that all runs can be read."""
    from tfquantseg.analysis import course, distributions, panels
    from tfquantseg.analysis.run import Run

    runs = [Run(Path(path)) for path in paths]
    names = _names(runs)
    one = runs[0]

    def of_grids(make: Callable[..., Figure]) -> Callable[[], Figure]:
        return lambda: _applied(lambda: make(one.observed(), one.title))

    return {
        "distributions": lambda: distributions.distributions(one.observed(), one.title),
        "gradients": lambda: distributions.gradients(one.observed(), one.title),
        "levels": of_grids(distributions.levels),
        "loss": lambda: course.loss(
            {name: run.log() for name, run in names.items()}, f"{one.config.data.name}, loss"
        ),
        "magnitudes": lambda: course.magnitudes(
            {step: one.observed(step) for step in one.steps}, one.title
        ),
        "norms": lambda: _applied(lambda: course.norms(one.last, one.title)),
        "panels": lambda: panels.panels(
            {name: run.predictor() for name, run in names.items()}, _common_data(runs)
        ),
        "weights": lambda: _applied(
            lambda: course.weights(one.observed(0), one.observed(), (0, one.steps[-1]), one.title)
        ),
        "zeroed": of_grids(distributions.zeroed),
    }


def _applied(make: Callable[[], Figure]) -> Figure:
    try:
        return make()
    except ValueError as error:
        raise _DoesNotApply(str(error)) from error


def _names(runs: Sequence[Run]) -> dict[str, Run]:
    """The runs by their policies, their folders or their paths: the first that tell them apart."""
    for call in (lambda run: run.config.policy, lambda run: run.name):
        named = {call(run): run for run in runs}
        if len(named) == len(runs):
            return named
    return {str(run.path): run for run in runs}


def _common_data(runs: Sequence[Run]) -> SegmentationData:
    one = runs[0]
    for run in runs[1:]:
        ours, theirs = one.config.data, run.config.data
        for key in ("name", "options", "val"):
            if ours[key] != theirs[key]:
                raise ValueError(
                    f"{run.path} was validated on other data: config.data.{key} is {theirs[key]} "
                    f"there and {ours[key]} in {one.path}. Give runs on the same data."
                )
    return one.validation


def _print_next(values: flags.FlagValues, rows: dict[str, Row]) -> None:
    print("Next:")
    if values.sweep:
        trained_for = next(iter(rows.values()))["for"].partition(":")[0]
        shipped = trained_for in recipes.shipped_sweeps()
        sweep = f"--sweep={trained_for if shipped else f'{trained_for}.py'}"
        given = shlex.join([sweep, f"--table={values.sweep}", "--summary"])
        print(f"  {command.command_line('sweep')} {given}")
        return
    workdir = shlex.quote(f"--workdir={values.workdir[0]}")
    print(f"  {command.command_line('evaluate')} {workdir}")
    print(f"  {command.command_line('predict')} {workdir} --images=PHOTOS --out=predictions")
