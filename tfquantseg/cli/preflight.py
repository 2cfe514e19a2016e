"""Tells what an Edge TPU will run of a network: before it is trained, or of a .tflite file.

Examples:
  preflight --config=camvid_deeplab
      Of what training by this recipe, and convert, will give; nothing is trained.
  preflight --config=digits --config.model.args.width=64 --size=256,256 --json=edgetpu.json
      The same of another width and size.
  preflight --model=my-run/export/model_int8.tflite
      Of a file; it may come from anywhere.

It names each operator that stays on the CPU, where the compiler would cut the graph and why, and
what to change; the versions of the operators, the memory of weights and activations, and resizes
that kernels compute differently. The page is a prediction by rules; edgetpu_compiler, if it is on
PATH, is run too and its verdict shown. The exit code is 0 whatever the prediction is; "ok" in the
JSON says whether all of it runs on the TPU, nothing being in doubt. A last resize that is in doubt
is left to the host by `convert --logits=stride`.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from absl import flags

from tfquantseg.cli import command, file_shape, outputs, recipes

if TYPE_CHECKING:
    from tfquantseg.export import Report, Verdict


def main(argv: Sequence[str]) -> int:
    """Predicts; `argv` is the command line. Returns the exit code."""
    line = recipes.with_path(argv)
    return command.execute(line, about=__doc__ or "", define=_define, work=_preflight)


def run() -> None:
    """The program."""
    command.run(main)


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    recipes.define_config(values, argv, own=("model",))
    flags.DEFINE_string("model", None, "In place of --config, a .tflite file.", flag_values=values)
    file_shape.define(values)
    outputs.define_json(values, "the report")


class _Content(NamedTuple):
    """A file's bytes, what to call it, and the command to type next."""

    name: str
    tflite: bytes
    next: str


def _preflight(values: flags.FlagValues) -> int:
    from tfquantseg.export import graph_of, preflight

    _check_flags(values)
    json_to = outputs.json_path(values)
    content = _of_file(Path(values.model)) if values.model else _of_recipe(values)
    report = preflight(graph_of(content.tflite, name=content.name))
    verdict = _verdict(content.tflite)
    print(report)
    as_json = report.as_json()
    if verdict is not None:
        print(verdict)
        as_json["compiler"] = verdict.as_json()
    if json_to:
        print(f"JSON  {outputs.write_json(json_to, as_json)}")
    mended = _mended(values, report)
    then = [*mended, content.next] if values.model else [content.next, *mended]
    print("Next:", *then, sep="\n  ")
    return 0


def _mended(values: flags.FlagValues, report: Report) -> list[str]:
    """What to type, or to look at, where it is not certain that all runs on the TPU."""
    if report.resize_is_for_host:
        arguments = [f"--workdir={_run_of(Path(values.model)) if values.model else 'RUN'}"]
        if values["size"].present:
            arguments.append(values["size"].serialize())
        return [
            f"{command.command_line('convert')} {shlex.join([*arguments, '--logits=stride'])}",
            "(which leaves the last resize to the host)",
        ]
    if report.in_doubt:
        return ["(what is in doubt may end up on the CPU; its rows above say what to change)"]
    return []


def _run_of(file: Path) -> str:
    """The work directory in whose folder a file lies, or else a word in its place."""
    from tfquantseg.training.workdir import CHECKPOINTS

    run = file.absolute().parent.parent
    return command.shown(run) if (run / CHECKPOINTS).is_dir() else "RUN"


def _check_flags(values: flags.FlagValues) -> None:
    if not values.model:
        return
    if recipes.is_given(values):
        raise ValueError("Give either --config or --model; received both.")
    for flag in ("size", "logits"):
        if values[flag].present:
            raise ValueError(f"--{flag} is for --config; a file has what it has. Leave it out.")


def _of_file(file: Path) -> _Content:
    if not file.is_file():
        raise ValueError(
            f"There is no model {file.absolute()}; give a .tflite file, or a recipe as --config."
        )
    return _Content(file.name, file.read_bytes(), shlex.join(["edgetpu_compiler", "-s", str(file)]))


def _of_recipe(values: flags.FlagValues) -> _Content:
    """What convert will write of a run of the recipe; its weights are the initial ones."""
    from tfquantseg.export import draft, write_tflite
    from tfquantseg.training import parts, recipe

    config = values.config
    recipe.check(config)
    parts.deterministic(config.seed)
    data = parts.data(config, config.data.val)
    model = parts.model(config, len(data.classes))
    size = file_shape.size_of(values, model, config, data)
    network = file_shape.with_output(values, draft(model, *size))
    name = f"{recipes.name_of(values)}, not trained yet, {size[0]} x {size[1]}"
    then = f"{command.command_line('train')} {recipes.arguments(values)}"
    return _Content(name, write_tflite(network), then)


def _verdict(tflite: bytes) -> Verdict | None:
    """What the compiler says, if it is installed."""
    from tfquantseg.export import compiler_verdict

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.tflite"
        file.write_bytes(tflite)
        return compiler_verdict(file)
