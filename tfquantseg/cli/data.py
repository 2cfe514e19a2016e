"""Looks after data sets: checks and fetches them, and makes label maps of masks in colours.

Examples:
  data check --config=folder --config.data.options.root=FOLDER
      Reads every image and mask of a data set, and shows what it holds.
  data download voc2012
      Fetches a published data set, and checks that it is whole.
  data index-masks --masks=COLOURS --classes=classes.txt --out=FOLDER/masks
      Turns masks whose colours mean classes, or black and white ones, into label maps.
  data speed --config=digits
      Measures how fast images are read, beside what a training step needs.

`data check --help` and so on tell more. The README says how a folder of your own is laid out.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from tfquantseg.cli import command, data_check, data_download, data_index_masks, data_speed
from tfquantseg.names import unknown_name

_ACTIONS = {
    "check": data_check.check,
    "download": data_download.download,
    "index-masks": data_index_masks.index_masks,
    "speed": data_speed.speed,
}


def main(argv: Sequence[str]) -> int:
    """Does one of the actions; `argv` is the command line. Returns the exit code."""
    program, *rest = argv
    if rest and rest[0] in _ACTIONS:
        return _ACTIONS[rest[0]]([program, *rest[1:]])
    return command.execute(argv, about=__doc__ or "", define=_refuse, work=lambda values: 0)


def run() -> None:
    """The program."""
    command.run(main)


def _refuse(values: flags.FlagValues, argv: list[str]) -> None:
    """Answers a command line without an action, unless it asks for help."""
    del values
    given = [argument for argument in argv[1:] if not argument.startswith("-")]
    if given:
        raise unknown_name("action", given[0], _ACTIONS)
    if not any(argument.lstrip("-") in ("help", "?") for argument in argv[1:]):
        raise ValueError(f"Say what to do first: {', '.join(_ACTIONS)}; --help tells more.")
