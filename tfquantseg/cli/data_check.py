"""Reads every image and mask of a data set, and shows what it holds.

Examples:
  data check --config=folder --config.data.options.root=FOLDER
      A folder of your own, as the recipe `folder` trains on it.
  data check --config=camvid_fcn8s --out=camvid.png --json=camvid.json
      The data set of another recipe.
  data check --config=voc_deeplab
      PASCAL VOC 2012 in the folder that TFQUANTSEG_DATA names.

It shows, for each split: images, their sizes, how often each class occurs in pixels and in images,
and what is ignored. It writes a sheet of images with their masks laid over them, so that you see
whether the masks mean what you mean. It exits with 1 where files cannot be used, after naming all
of them, or where there are not two classes to tell apart.
"""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from tfquantseg.cli import command, outputs, recipes

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from tfquantseg.analysis.data_sheet import DataSheet
    from tfquantseg.data import Pair, SegmentationData
    from tfquantseg.data.survey import Survey

UNUSABLE = 1


def check(argv: Sequence[str]) -> int:
    """Checks; `argv` is the command line without the action. Returns the exit code."""
    line = recipes.with_path(argv)
    return command.execute(line, about=__doc__ or "", define=_define, work=_check)


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    recipes.define_config(values, argv)
    flags.DEFINE_string(
        "out",
        f"data-{recipes.name(argv)}.png",
        "The sheet to write, a PNG file.",
        flag_values=values,
    )
    outputs.define_overwrite(values, "the sheet")
    outputs.define_json(values, "what was found")


def _check(values: flags.FlagValues) -> int:
    from tfquantseg.analysis.data_sheet import DataSheet
    from tfquantseg.data.survey import table
    from tfquantseg.training import recipe, whole

    to, json_to = Path(values.out), outputs.json_path(values)
    if to.suffix.lower() != ".png":
        raise ValueError(f"--out is {str(to)!r}; accepted is the name of a PNG file.")
    whole.check_writable(to)
    outputs.check_free(to, values)
    config = values.config
    recipe.check(config)
    sheet = DataSheet()
    surveys = [_survey(split, sheet) for split in _splits(config)]
    for found in surveys:
        for text in found.unreadable:
            print(f"Cannot be used: {text}")
    print(f"\n{config.data.name}\n{table(surveys)}\n")
    problem = _problem(surveys)
    remarks = [*_absences(surveys), *([problem] if problem else [])]
    if remarks:
        print("\n".join(remarks) + "\n")
    if sheet:
        with io.BytesIO() as file:
            sheet.image().save(file, "PNG")
            whole.write_whole(to, file.getvalue())
        print(f"Sheet  {command.shown(to)} ({len(sheet)} images with their masks)")
    if json_to:
        splits = {found.split: found.as_json() for found in surveys}
        content = {"data": config.data.name, "problem": problem, "splits": splits}
        print(f"JSON   {outputs.write_json(json_to, content)}")
    print("Next:")
    if problem is None:
        workdir = shlex.quote(f"--workdir={recipes.RUNS / recipes.name_of(values)}")
        print(f"  {command.command_line('train')} {recipes.arguments(values)} {workdir}")
        return 0
    told = "".join([problem, *(text for found in surveys for text in found.unreadable)])
    if config.data.name == "folder" and "index-masks" in told:  # Else no mask's colours are wrong.
        print("  (once mended; masks in colours, or white on black, by the first of these)")
        print("\n".join(f"  {line}" for line in _index_masks(config)))
    again = [f"--out={to}"] if values["out"].present else []
    again += ["--overwrite"] if sheet else []
    given = " ".join([recipes.arguments(values), *map(shlex.quote, again)])
    print(f"  {command.command_line('data')} check {given}")
    return UNUSABLE


def _index_masks(config: ConfigDict) -> list[str]:
    """The commands that make label maps of a data set's masks in colours."""
    from tfquantseg.data import folder

    program = f"{command.command_line('data')} index-masks"
    root = Path(config.data.options.get("root", ""))
    masks, colours = root / folder.MASKS, root / "colours"
    if not masks.is_dir():
        return [f"{program} --help"]
    given = [f"--masks={colours}", f"--classes={root / folder.CLASSES}", f"--out={masks}"]
    return [shlex.join(["mv", str(masks), str(colours)]), f"{program} {shlex.join(given)}"]


def _splits(config: ConfigDict) -> list[SegmentationData]:
    """All splits of the config's data set; none of their examples stays in memory."""
    from tfquantseg import data

    options = {**config.data.options, "cache_bytes": 0}
    for split in (config.data.train, config.data.val):
        data.load(config.data.name, split, **options)  # What the recipe asks for must be there.
    names = data.splits(config.data.name, **options)
    return [data.load(config.data.name, split, **options) for split in names]


def _survey(data: SegmentationData, sheet: DataSheet) -> Survey:
    from tfquantseg.data.survey import survey
    from tfquantseg.training.bar import Count

    count = Count(len(data), f"images of {data.split}", sys.stderr)

    def seen(index: int, pair: Pair | None) -> None:
        sheet.add(data, index, pair)
        count.step()

    return survey(data, seen)


def _absences(surveys: Sequence[Survey]) -> list[str]:
    """What is said of classes that never occur in a split."""
    return [
        f"Never in {found.split}: {', '.join(found.absent)}."
        for found in surveys
        if found.absent and not found.unreadable
    ]


def _problem(surveys: Sequence[Survey]) -> str | None:
    """Why the data cannot be trained on, None where it can."""
    from tfquantseg.data.survey import no_two_classes

    unreadable = sum(len(found.unreadable) for found in surveys)
    if unreadable:
        examples = sum(found.examples for found in surveys)
        return f"{unreadable} of {examples} images cannot be used, with their masks; see above."
    occurring = [any(counts) for counts in zip(*(found.pixels for found in surveys), strict=True)]
    if sum(occurring) >= 2:
        return None
    problem = no_two_classes(ignored=any(found.ignored for found in surveys))
    return f"In all splits {problem}"
