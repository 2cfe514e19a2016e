"""Makes label maps of masks whose colours mean classes, black and white ones included.

Examples:
  data index-masks --masks=COLOURS --classes=FOLDER/classes.txt --out=FOLDER/masks
      COLOURS holds the masks as PNG files; FOLDER/masks is made.
  data index-masks --masks=COLOURS --classes=classes.txt --out=masks --ignore="224 224 192"
      Pixels of this colour count in nothing.

Each line of classes.txt names a class and its colour, in red, green and blue. For masks that are
white on black:

  background   0   0   0
  object     255 255 255

A pixel of the first line's colour gets label 0, of the second's label 1, and so on; any other
colour is an error, and nothing is written. The label maps are palette PNGs, which still show the
colours.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from tfquantseg.cli import command

if TYPE_CHECKING:
    from tfquantseg.data.palette import Colour

_IGNORED = (255, 255, 255)  # how a label map shows what is ignored


def index_masks(argv: Sequence[str]) -> int:
    """Makes label maps; `argv` is the command line without the action. Returns the exit code."""
    return command.execute(argv, about=__doc__ or "", define=_define, work=_index)


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    del argv
    for name, what in (
        ("masks", "Folder of the masks in colours, PNG files. Required."),
        ("classes", "Names and colours of the classes, one a line. Required."),
        ("out", "Folder to make for the label maps; it must not exist yet. Required."),
    ):
        flags.DEFINE_string(name, None, what, flag_values=values)
        flags.mark_flag_as_required(name, flag_values=values)
    flags.DEFINE_string(
        "ignore", None, "Colour of pixels that count in nothing: 'R G B'.", flag_values=values
    )


def _index(values: flags.FlagValues) -> int:
    from tfquantseg import pictures
    from tfquantseg.data import class_list, coloured_masks, folder
    from tfquantseg.training import whole
    from tfquantseg.training.bar import Count

    to = Path(values.out)
    if to.exists():
        raise FileExistsError(f"{to} exists already; give the name of a new folder as --out.")
    whole.check_writable(to)
    classes = class_list.read(Path(values.classes))
    if not classes.coloured:
        raise ValueError(
            f"{values.classes} gives no colours; write red, green and blue after each name, as in "
            f"'{classes.names[0]} 0 0 0', the colour that the class has in the masks."
        )
    ignore = _colour(values.ignore)
    if ignore in classes.palette:
        name = classes.names[classes.palette.index(ignore)]
        raise ValueError(f"--ignore is {values.ignore!r}, the colour of {name!r}; give another.")
    masks = folder.masks_in(Path(values.masks))
    count = Count(len(masks), "masks", sys.stderr)
    palette = [*classes.palette, *[_IGNORED] * (256 - len(classes.palette))]
    with whole.whole_folder(to) as unfinished:
        for stem, path in masks.items():
            label = coloured_masks.read(path, classes.palette, ignore_colour=ignore)
            image = pictures.index_image(label, palette)
            image.save(unfinished / f"{stem}.png")
            count.step()
    print(f"Masks  {command.shown(to)} ({len(masks)} label maps)")
    print("Next:")
    root = command.shown(to.parent) if to.name == folder.MASKS else "FOLDER"
    argument = shlex.quote(f"--config.data.options.root={root}")
    print(f"  {command.command_line('data')} check --config=folder {argument}  # or your recipe")
    return 0


def _colour(text: str | None) -> Colour | None:
    if text is None:
        return None
    numbers = re.fullmatch(r"\s*(\d+)[\s,]+(\d+)[\s,]+(\d+)\s*", text)
    if numbers is None or max(map(int, numbers.groups())) > 255:
        raise ValueError(
            f"--ignore is {text!r}; accepted are red, green and blue from 0 to 255, as in "
            "--ignore='224 224 192'."
        )
    return int(numbers[1]), int(numbers[2]), int(numbers[3])
