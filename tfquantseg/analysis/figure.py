"""A figure: a picture, and the numbers that it shows."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from tfquantseg.training import whole


@dataclasses.dataclass(frozen=True)
class Figure:
    """What a figure shows.

    Attributes:
        name: of its files.
        picture: RGB.
        columns: of its numbers.
        rows: the numbers.
    """

    name: str
    picture: Image.Image
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def write(self, folder: Path) -> None:
        """Writes NAME.png and NAME.csv.

        Raises:
            OSError: the folder cannot be written.
        """
        png = io.BytesIO()
        self.picture.save(png, "PNG")
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        picture, numbers = files_of(self.name, folder)
        whole.write_whole(picture, png.getvalue())
        whole.write_whole(numbers, text.getvalue().encode())

    def as_json(self) -> list[dict[str, Any]]:
        """Returns the numbers, a dict a row."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def files_of(name: str, folder: Path) -> tuple[Path, Path]:
    """Returns where a figure of this name is written."""
    return folder / f"{name}.png", folder / f"{name}.csv"


def check_free(names: Sequence[str], folder: Path, *, overwrite: bool) -> None:
    """Checks, before the work, that figures can be written.

    Raises:
        ValueError: one is there already, and is not to be overwritten; or `folder` is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; give a folder, or a new name, as --out.")
    if overwrite:
        return
    for name in names:
        for path in files_of(name, folder):
            if path.exists():
                raise ValueError(
                    f"{path} is there already; replace it with --overwrite, or give another --out."
                )
