"""The flag `--config`: a recipe file, and what the command line changes in it."""

from __future__ import annotations

import re
import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_flags

from tfquantseg.names import closest
from tfquantseg.training.recipe import plain, unknown_key

DEFAULT = "digits"
_OVERRIDE = re.compile(r"--?(?:no)?config\.([^=]+)")
_CONFIG = re.compile(r"--?config(?:=(.*))?")


def define_config(values: flags.FlagValues, argv: list[str]) -> None:
    """Defines `--config` and `--config.KEY`.

    Args:
        values: Where to define them.
        argv: The command line as `with_path` makes it; the changes are read from it.

    Raises:
        ValueError: There is no such recipe, or it has no such key; names the nearest.
    """
    path = _chosen(argv)
    _check_overrides(path, argv)
    config_flags.DEFINE_config_file(
        "config",
        str(shipped()[DEFAULT]),
        "Recipe: a file with get_config(), or the name of one that comes with the project "
        f"({', '.join(shipped())}). --config.KEY=VALUE changes one of its values.",
        flag_values=values,
        sys_argv=argv,
    )


def with_path(argv: Sequence[str]) -> list[str]:
    """The command line with a recipe's name replaced by its path: `--config=digits`."""
    recipes = shipped()
    replaced: list[str] = []
    for argument in argv:
        if replaced and _CONFIG.fullmatch(replaced[-1]) and "=" not in replaced[-1]:
            argument = f"{replaced.pop()}={argument}"
        match = _CONFIG.fullmatch(argument)
        if match and match[1] in recipes and not Path(match[1]).is_file():
            argument = f"--config={recipes[match[1]]}"
        replaced.append(argument)
    return replaced


def name(argv: list[str]) -> str:
    """The recipe's name: its file's, without folder and ending."""
    return _chosen(argv).stem


def source(values: flags.FlagValues) -> str:
    """What was given as `--config`, after parsing: the recipe's path."""
    flag: Any = values["config"]  # absl's type of it does not know what ml_collections adds
    return str(flag.config_filename)


def shipped() -> dict[str, Path]:
    """The recipes that come with the project, by name."""
    package = Path(__file__).resolve().parents[1]
    # In the source tree and under Bazel they lie beside the package, in the wheel inside it.
    folders = (package.parent / "configs", package / "configs")
    return {path.stem: path for folder in folders for path in sorted(folder.glob("[!_]*.py"))}


def _chosen(argv: list[str]) -> Path:
    paths = [match[1] for match in map(_CONFIG.fullmatch, argv) if match and match[1] is not None]
    path = Path(paths[-1]) if paths else shipped()[DEFAULT]
    if not path.is_file():
        names = list(shipped())
        meant = closest(path.stem, names)
        hint = f" Did you mean {meant!r}?" if meant else ""
        raise FileNotFoundError(
            f"There is no recipe {str(path)!r} in {Path.cwd()}. Give a file, or one of the recipes "
            f"that come with the project: {', '.join(names)}.{hint}"
        )
    return path


def _check_overrides(path: Path, argv: list[str]) -> None:
    """Checks that the recipe has each key that the command line changes."""
    recipe = runpy.run_path(str(path))
    if "get_config" not in recipe:
        raise ValueError(f"{path} is no recipe: it has no function get_config().")
    accepted = _all_keys(plain(recipe["get_config"]()))
    for argument in argv:
        match = _OVERRIDE.match(argument)
        if match and match[1] not in accepted:
            raise unknown_key(match[1], accepted)


def _all_keys(tree: dict[str, object], prefix: str = "") -> list[str]:
    keys = []
    for key, value in tree.items():
        keys.append(prefix + key)
        if isinstance(value, dict):
            keys += _all_keys(value, f"{prefix}{key}.")
    return keys
