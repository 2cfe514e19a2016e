"""The flag `--config`: a recipe file, and what the command line changes in it.

Behind a recipe's name may stand one of its variants, `--config=voc_deeplab:authors`. A recipe that
has any names them in `VARIANTS`, and its `get_config(variant)` takes one; the first is the default.
"""

from __future__ import annotations

import re
import runpy
import shlex
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags
from ml_collections import ConfigDict, config_flags

from tfquantseg.cli import command
from tfquantseg.names import closest, unknown_name
from tfquantseg.training.recipe import FREE, plain, unknown_key

DEFAULT = "digits"
RUNS = Path("tfquantseg-runs")
"""Where trainings go without --workdir, each into a folder of its recipe's name."""

_OVERRIDE = re.compile(r"--?(?:no)?config\.([^=]+)")
_CONFIG = re.compile(r"--?config(?:=(.*))?")


class _Recipe(NamedTuple):
    """What `--config` names: a file, and one of its variants, or None."""

    path: Path
    variant: str | None


def define_config(values: flags.FlagValues, argv: list[str], own: Sequence[str] = ()) -> None:
    """Defines `--config` and `--config.KEY`.

    Args:
        values: Where to define them.
        argv: The command line as `with_path` makes it; the changes are read from it.
        own: Flags of the command that are called as keys of the recipe are.

    Raises:
        ValueError: There is no such recipe, it fails, or it has no such key; or a key is given
            twice.
    """
    _check_overrides(_chosen(argv), argv, own)
    config_flags.DEFINE_config_file(
        "config",
        str(shipped()[DEFAULT]),
        "Recipe: a file with get_config(), or the name of one that comes with the project "
        f"({', '.join(shipped())}); NAME:VARIANT is one of its variants, where it has some. "
        "--config.KEY=VALUE changes one of its values.",
        flag_values=values,
        sys_argv=argv,
    )
    values["config"].default_as_str = repr(DEFAULT)  # in --help, where its path is of no use


def with_path(argv: Sequence[str]) -> list[str]:
    """The command line with a recipe's name replaced by its path: `--config=digits`."""
    recipes = shipped()
    replaced: list[str] = []
    for argument in argv:
        if replaced and _CONFIG.fullmatch(replaced[-1]) and "=" not in replaced[-1]:
            argument = f"{replaced.pop()}={argument}"
        match = _CONFIG.fullmatch(argument)
        if match and match[1]:
            name, colon, variant = match[1].partition(":")
            if name in recipes and not Path(name).is_file():
                argument = f"--config={recipes[name]}{colon}{variant}"
        replaced.append(argument)
    return replaced


def name(argv: list[str]) -> str:
    """The recipe's name: its file's, without folder and ending, and behind it its variant's."""
    return _name(_chosen(argv))


def is_given(values: flags.FlagValues) -> bool:
    """Whether the command line names a recipe, or changes the default one."""
    flag: Any = values["config"]  # absl's type of it does not know what ml_collections adds
    return bool(flag.present or flag.override_values)


def name_of(values: flags.FlagValues) -> str:
    """The name of the recipe that was parsed."""
    flag: Any = values["config"]
    return _name(_parsed(flag.config_filename))


def arguments(values: flags.FlagValues, **changes: Any) -> str:
    """What was given as `--config` and `--config.KEY`, after parsing, as it can be typed again.

    Args:
        values: The parsed flags.
        **changes: Values of keys that are to stand in place of those that were given.
    """
    flag: Any = values["config"]  # absl's type of it does not know what ml_collections adds
    path, variant = _parsed(flag.config_filename)
    comes_with_the_project = shipped().get(path.stem) == path
    name = path.stem if comes_with_the_project else command.shown(path)
    given = [f"--config={name if variant is None else f'{name}:{variant}'}"]
    for key, value in {**flag.override_values, **changes}.items():
        given.append(
            f"--config.{key}={value.to_dict() if isinstance(value, ConfigDict) else value}"
        )
    return shlex.join(given)


def shipped() -> dict[str, Path]:
    """The recipes that come with the project, by name."""
    return _by_name(_folder())


def shipped_sweeps() -> dict[str, Path]:
    """The sweeps that come with the project, by name."""
    return _by_name(_folder() / "sweeps")


def read(path: Path, kind: str = "recipe", variant: str | None = None) -> ConfigDict:
    """Runs a file with a function get_config() and returns what that returned.

    Args:
        path: The file.
        kind: What it is to hold, for error messages.
        variant: One of those that the file names in `VARIANTS`; None for its default.

    Raises:
        ValueError: It fails, or holds no such function, or that returns no ConfigDict; or it has no
            such variant.
    """
    try:
        module = runpy.run_path(str(path))
    except Exception as error:
        raise _failure(path, kind, error) from error
    if "get_config" not in module:
        raise ValueError(f"{path} is no {kind}: it has no function get_config().")
    variants = module.get("VARIANTS", ())
    if variant is not None and variant not in variants:
        if not variants:
            raise ValueError(f"{path} has no variants; leave out ':{variant}' behind it.")
        raise unknown_name(f"variant of {kind} {path.stem!r}", variant, variants)
    try:
        config = module["get_config"](*([] if variant is None else [variant]))
    except Exception as error:
        raise _failure(path, kind, error) from error
    if not isinstance(config, ConfigDict):
        raise ValueError(
            f"{path} is no {kind}: get_config() returns {type(config).__name__}; accepted is an "
            "ml_collections.ConfigDict."
        )
    return config


def find(given: str, known: dict[str, Path], kind: str = "recipe") -> Path:
    """Finds the file of a recipe or sweep.

    Args:
        given: A file's path, or one of the known names.
        known: Files by name.
        kind: What it is, for error messages.

    Raises:
        FileNotFoundError: There is none.
    """
    path = Path(given)
    if path.is_file():
        return path
    if given in known:
        return known[given]
    meant = closest(path.stem, known)
    hint = f" Did you mean {meant!r}?" if meant else ""
    raise FileNotFoundError(
        f"There is no {kind} {str(path)!r} in {Path.cwd()}. Give a file, or one of the {kind}s "
        f"that come with the project: {', '.join(known)}.{hint}"
    )


def _folder() -> Path:
    package = Path(__file__).resolve().parents[1]
    # In the wheel they lie inside the package, in the source tree and under Bazel beside it. What
    # else an environment calls configs, beside an installed package, is not ours.
    inside, beside = package / "configs", package.parent / "configs"
    return inside if inside.is_dir() else beside


def _by_name(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("[!_]*.py"))}


def _parsed(text: str) -> _Recipe:
    """Splits `"PATH:VARIANT"` as ml_collections does, which calls get_config with what follows."""
    path, colon, variant = text.partition(":")
    return _Recipe(Path(path), variant if colon else None)


def _name(recipe: _Recipe) -> str:
    return recipe.path.stem if recipe.variant is None else f"{recipe.path.stem}-{recipe.variant}"


def _chosen(argv: list[str]) -> _Recipe:
    paths = [match[1] for match in map(_CONFIG.fullmatch, argv) if match and match[1] is not None]
    if paths and not paths[-1]:
        raise ValueError("Flag --config is empty; give it a value, or leave it out.")
    if not paths:
        return _Recipe(shipped()[DEFAULT], None)
    path, variant = _parsed(paths[-1])
    return _Recipe(find(str(path), shipped()), variant)


def _check_overrides(recipe: _Recipe, argv: list[str], own: Sequence[str]) -> None:
    """Checks that the recipe has each key that the command line changes, and it changes it once."""
    accepted = _all_keys(plain(read(recipe.path, variant=recipe.variant)))
    given: list[str] = []
    for argument in argv:
        name = argument.lstrip("-").partition("=")[0]
        if argument.startswith("-") and name in accepted and name not in own:
            raise ValueError(
                f"There is no flag --{name}; a value of the recipe is changed by its whole key, "
                f"--config.{name}=VALUE."
            )
    for key in (match[1] for match in map(_OVERRIDE.match, argv) if match):
        if key not in accepted:
            raise _unknown(key, accepted)
        for other in given:
            if f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}."):
                raise ValueError(
                    f"--config.{other} and --config.{key} change the same value; give it once."
                )
        given.append(key)


def _unknown(key: str, accepted: list[str]) -> ValueError:
    error = unknown_key(key, accepted)
    free = next((part for part in FREE if key.startswith(f"{part}.")), None)
    if free is None:
        return error
    name = key.removeprefix(f"{free}.")
    return ValueError(
        f"{error} To add a key, write all of that part: --config.{free}='{{\"{name}\": ..., ...}}'."
    )


def _failure(path: Path, kind: str, error: Exception) -> ValueError:
    return ValueError(
        f"{path}{_line(path, error)} fails: {type(error).__name__}: {error}. Mend the {kind}."
    )


def _line(path: Path, error: Exception) -> str:
    """Where in a recipe an error was raised."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f", line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f", line {lines[-1]}" if lines else ""


def _all_keys(tree: dict[str, object], prefix: str = "") -> list[str]:
    keys = []
    for key, value in tree.items():
        keys.append(prefix + key)
        if isinstance(value, dict):
            keys += _all_keys(value, f"{prefix}{key}.")
    return keys
