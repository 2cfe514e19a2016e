"""Files that commands write: what is checked before the work, and how a replaced one is told.

A picture or a table that is there already is refused without `--overwrite`. The JSON twin, whose
name the user has given, is replaced, and the command says so.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from absl import flags

from tfquantseg.cli import command


def define_overwrite(values: flags.FlagValues, what: str) -> None:
    """Defines `--overwrite`, which replaces `what`."""
    flags.DEFINE_boolean("overwrite", False, f"Replace {what}.", flag_values=values)


def check_free(path: Path, values: flags.FlagValues, flag: str = "out") -> None:
    """Checks, before the work, that a file is not there, or may be replaced.

    Raises:
        ValueError: it is there, and `--overwrite` is not given; names `flag`, which chose it.
    """
    if path.exists() and not values.overwrite:
        raise ValueError(
            f"{path} is there already; replace it with --overwrite, or give another --{flag}."
        )


def define_json(values: flags.FlagValues, what: str) -> None:
    """Defines `--json`, the twin for machines of `what` a command shows."""
    flags.DEFINE_string(
        "json", None, f"Write {what} to this file too; replaced if it exists.", flag_values=values
    )


def json_path(values: flags.FlagValues) -> Path | None:
    """Returns where `--json` points, checked before the work; None where it is not given.

    Raises:
        OSError: it is a folder, or its folder is missing or cannot be written.
    """
    from tfquantseg.training import whole

    given = values["json"].value
    if given is None:
        return None
    whole.check_writable(Path(given))
    return Path(given)


def write_json(path: Path, content: Any) -> str:
    """Writes the twin; returns its path as it is to be told, with a word if one was replaced."""
    from tfquantseg.training import whole

    replaced = " (replaced)" if path.exists() else ""
    whole.write_whole(path, json.dumps(content, indent=2).encode() + b"\n")
    return f"{command.shown(path)}{replaced}"
