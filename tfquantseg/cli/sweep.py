"""Trains a list of runs, a recipe with changes, and tells what the changes do.

Examples:
  sweep --sweep=table1 --list
      The runs of the paper's Table I that are done, and those to do.
  sweep --sweep=table1 --table=docs/results/paper.jsonl
      Trains them, and appends each finished run to that table.
  sweep --sweep=mine.py --only='INTEGER.*seed 0'
      A sweep of your own (see configs/sweeps), of it the runs in whose name that is found.
  sweep --sweep=table1 --table=docs/results/paper.jsonl --summary
      The summary of what the table holds; nothing is trained.

Each run has a process of its own, one at a time. The same command again goes on where it stopped:
runs that the table holds, known by their exact configuration, are not trained again, and one that
was interrupted goes on from its last checkpoint. SIGTERM and Ctrl-C save a checkpoint first; the
exit code is then 143 or 130. Several sweeps may share a table, one after the other. A run that
diverges is a row that says so; one that fails otherwise is told at the end, and the exit code is 2.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from tfquantseg.cli import command, outputs, recipes

if TYPE_CHECKING:
    from tfquantseg.sweep.description import Run, Sweep
    from tfquantseg.sweep.table import Row
    from tfquantseg.sweep.training import Failure

_STOPPING = (
    "Stopping after this step of the run, which is saved; again to end now, and leave the run to "
    "save it and end on its own."
)


def main(argv: Sequence[str]) -> int:
    """Sweeps; `argv` is the command line. Returns the exit code."""
    return command.execute(argv, about=__doc__ or "", define=_define, work=_sweep)


def run() -> None:
    """The program."""
    command.run(main)


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    del argv
    flags.DEFINE_string(
        "sweep",
        None,
        "Sweep: a file with get_config(), or the name of one that comes with the project "
        f"({', '.join(recipes.shipped_sweeps())}). Required.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "table",
        str(Path("tfquantseg-runs") / "sweep.jsonl"),
        "The table that finished runs are appended to, a line of JSON each.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "work",
        None,
        "Folder for the work directories of the runs. Default: tfquantseg-runs/NAME of NAME.jsonl.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "only",
        None,
        "Train or list only runs in whose name, such as 'INTEGER, seed 0', this regular expression "
        "is found.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "list", False, "Tell which runs are done and which are to do.", flag_values=values
    )
    flags.DEFINE_boolean(
        "summary", False, "Show the summary of what is done, train nothing.", flag_values=values
    )
    outputs.define_json(values, "the summary")


def _sweep(values: flags.FlagValues) -> int:
    from tfquantseg.sweep import table

    sweep = read(values.sweep)
    runs = sweep.only(values.only) if values.only else sweep.runs
    path = Path(values.table)
    work = Path(values.work) if values.work else Path("tfquantseg-runs") / path.stem
    if values.list and values.summary:
        raise ValueError("--list and --summary both show, without training; give one of them.")
    if values.summary and values.only:
        raise ValueError("--only chooses what is trained or listed, and --summary is of all runs.")
    if values.list and values.json:
        raise ValueError("--json is of the summary, which --list does not make; leave one out.")
    json_to = outputs.json_path(values)
    if values.list:
        _print_list(runs, table.read(path), work)
        return 0
    code = 0 if values.summary else _train(sweep, runs, path, work)
    if code > command.STOPPED:
        return code
    rows = table.read(path)
    if not code or any(run.key in rows for run in sweep.runs):
        _print_summary(sweep, rows, values, work, json_to)
    return code


def read(given: str | None) -> Sweep:
    """Reads a sweep and the recipe that it changes.

    Args:
        given: What was given as `--sweep`.

    Raises:
        ValueError: It is missing, or what the sweep holds is not accepted.
        FileNotFoundError: There is no such sweep, or no such recipe.
    """
    from tfquantseg.sweep import description

    known = recipes.shipped_sweeps()
    if not given:
        raise ValueError(f"Give --sweep: a file, or one of {', '.join(known)}.")
    file = recipes.find(given, known, "sweep")
    config = recipes.read(file, "sweep")
    bases = {}
    for base in description.bases_of(file.stem, config):
        # A recipe of one's own lies beside the sweep that changes it.
        path, colon, variant = base.partition(":")
        beside = file.parent / path
        recipe = beside if beside.is_file() else recipes.find(path, recipes.shipped())
        bases[base] = recipes.read(recipe, variant=variant if colon else None)
    return description.sweep_of(file.stem, config, bases)


def _train(sweep: Sweep, runs: Sequence[Run], path: Path, work: Path) -> int:
    """Trains what is to do. Returns the exit code."""
    from tfquantseg.sweep import table
    from tfquantseg.sweep.training import train_all
    from tfquantseg.training import whole
    from tfquantseg.training.signals import stop_request

    _check(sweep, runs)
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    whole.check_writable(path.absolute())
    with table.opened(path) as opened, stop_request(_STOPPING, sys.stderr) as stop:
        done = sum(run.key in opened.rows for run in runs)
        print(f"{sweep.name}: {len(runs)} runs, {done} of them done before.", flush=True)
        failures = train_all(sweep, runs, opened, work, sys.stderr, stop)
    if stop.received:
        print(
            f"Stopped by signal {stop.received}. The run is saved in {command.shown(work)}, what "
            f"has finished in {command.shown(path)}. Type the same command again to go on."
        )
        return command.STOPPED + stop.received
    return _told(failures)


def _check(sweep: Sweep, runs: Sequence[Run]) -> None:
    """Checks what the configurations name, before the first of many is trained.

    Raises:
        ValueError: A policy, model or loss is not known.
    """
    from ml_collections import ConfigDict

    from tfquantseg import losses, models
    from tfquantseg.names import unknown_name
    from tfquantseg.training import parts

    for run in runs:
        config = ConfigDict(run.config)
        try:
            parts.rules(config)
            losses.get(config.loss)
            if config.model.name not in models.names():
                raise unknown_name("model", config.model.name, models.names())
        except ValueError as error:
            raise ValueError(f"Sweep {sweep.name}, variant {run.variant}: {error}") from error


def _told(failures: Sequence[Failure]) -> int:
    """Tells which runs failed. Returns the exit code."""
    for failure in failures:
        print(f"\n{failure.run.name} {failure.how}. It said last:\n{failure.said}", file=sys.stderr)
    if failures:
        print(
            f"\nError: {len(failures)} runs failed: "
            f"{'; '.join(failure.run.name for failure in failures)}. Type the same command again "
            "to try them once more; what has finished is kept.",
            file=sys.stderr,
        )
        return command.USER_ERROR
    return 0


def _print_list(runs: Sequence[Run], rows: dict[str, Row], work: Path) -> None:
    from tfquantseg.sweep.training import folder_of
    from tfquantseg.training import workdir

    width = max(len(run.name) for run in runs)
    for run in runs:
        folder = folder_of(work, run)
        row = rows.get(run.key)
        begun = (folder / workdir.CONFIG).exists()
        state = row["outcome"] if row else "begun" if begun else "to do"
        print(f"{run.name:<{width}}  {state:<8}  {command.shown(folder)}")
    done = sum(run.key in rows for run in runs)
    print(f"{len(runs)} runs, {done} of them done, {len(runs) - done} to do.")


def _print_summary(
    sweep: Sweep, rows: dict[str, Row], values: flags.FlagValues, work: Path, json_to: Path | None
) -> None:
    from tfquantseg.sweep.summary import summary_of

    if not any(run.key in rows for run in sweep.runs):
        raise ValueError(
            f"{values.table} holds no run of {sweep.name!r} yet; leave out --summary to train "
            "them, or give the --table that holds them."
        )
    summary = summary_of(sweep, rows)
    print(f"\n{summary.markdown()}\n")
    print(f"Table  {command.shown(Path(values.table))}")
    if json_to:
        print(f"JSON   {outputs.write_json(json_to, summary.as_json())}")
    given = shlex.join([f"--sweep={values.sweep}", f"--table={values.table}", f"--work={work}"])
    print("Next:")
    if any(run.key not in rows for run in sweep.runs):
        print(f"  {command.command_line('sweep')} {given}")
    print(f"  {command.command_line('sweep')} {given} --list")
