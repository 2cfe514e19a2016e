"""The photographs that somebody names: a file, those of a folder, those that match a pattern."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

ENDINGS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


class Found(NamedTuple):
    """What was found.

    Attributes:
        files: Image files, each once, in the order of the names given and then of their own.
        others: What lies beside them in a folder, or matches a pattern too, and is no image by its
            ending: other files, and folders.
    """

    files: tuple[Path, ...]
    others: tuple[Path, ...]


def find(names: Sequence[str]) -> Found:
    """Finds image files.

    A file is taken whatever its ending. Of a folder, and of what a pattern matches, files are taken
    whose ending is in `ENDINGS`, in small letters or capitals; folders inside are not entered, and
    names that begin with a dot are passed over.

    Args:
        names: Files, folders, and patterns with `*`, `?` or `[...]`, in which `**` stands for
            folders at any depth; `~` is your home.

    Raises:
        ValueError: A name is empty, nothing is found by it, or no image.
    """
    # Keys are what two names of one file have in common.
    files: dict[Path, Path] = {}
    others: dict[Path, Path] = {}
    for name in names:
        if not name:
            raise ValueError("The name of an image is empty; give a file, a folder or a pattern.")
        path = Path(name).expanduser()
        if path.is_file():
            files.setdefault(path.resolve(), path)
            continue
        if path.is_dir():
            found = [inside for inside in path.iterdir() if not inside.name.startswith(".")]
        else:
            found = [Path(match) for match in glob.glob(str(path), recursive=True)]
            if not found:
                raise ValueError(_nothing(name, path))
        images = {each for each in found if each.is_file() and each.suffix.lower() in ENDINGS}
        if not images:
            there = f"only {len(found)} other entries" if found else "which is empty"
            raise ValueError(
                f"There is no image in {name}, {there}; accepted endings are {', '.join(ENDINGS)}."
            )
        for each in sorted(found):
            (files if each in images else others).setdefault(each.resolve(), each)
    return Found(tuple(files.values()), tuple(others.values()))


def keys(files: Iterable[Path]) -> list[str]:
    """A name for each file under which something about it can be kept; no two are equal.

    It is the file's name without folder and ending; where an earlier file has it, whether in small
    letters or capitals, with the first number behind it that is free: a, a-2, a-3.
    """
    made: list[str] = []
    taken: set[str] = set()
    for file in files:
        key, number = file.stem, 1
        while key.casefold() in taken:
            number += 1
            key = f"{file.stem}-{number}"
        taken.add(key.casefold())
        made.append(key)
    return made


def _nothing(name: str, path: Path) -> str:
    if glob.has_magic(name):
        return f"No file matches {name!r} in {Path.cwd()}. Put a pattern in quotes for your shell."
    return f"There is no file or folder {path.absolute()}; give one that exists, or a pattern."
