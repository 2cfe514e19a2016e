"""Where a published data set lies, and what its folder must hold.

Published sets lie beside each other in the folder that the environment variable `TFQUANTSEG_DATA`
names, each unpacked as its publisher packs it; the option `root` of a data set names its own folder
in place of that.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterable

from tfquantseg.names import first_few

_OPTION = "option `root` (of a recipe: --config.data.options.root=FOLDER)"
_FOUND = 8  # entries of a folder in an error message
VARIABLE = "TFQUANTSEG_DATA"


@dataclasses.dataclass(frozen=True)
class Layout:
    """The folder of one published data set.

    Attributes:
        title: What the data set is called.
        place: Its folder below that of `TFQUANTSEG_DATA`, as `"VOCdevkit/VOC2012"`.
        holds: What lies in that folder, for messages; a folder's name ends with a slash.
        obtain: Where it is to be had and what to do with it: a sentence, or some.
    """

    title: str
    place: str
    holds: tuple[str, ...]
    obtain: str

    def find(self, root: str | os.PathLike[str] | None) -> pathlib.Path:
        """The folder.

        Args:
            root: The folder; `~` is your home. By default `place` below `TFQUANTSEG_DATA`.

        Raises:
            ValueError: `root` is empty, or neither it nor the variable is given; there is no such
                folder.
        """
        if root == "":
            raise ValueError(
                f"Option `root` is empty; give the folder of {self.title}, which holds "
                f"{', '.join(self.holds)}."
            )
        folder = self._default() if root is None else pathlib.Path(root).expanduser()
        if not folder.is_dir():
            raise ValueError(
                f"There is no {self.title} data folder {folder}. Give the folder that holds "
                f"{', '.join(self.holds)} as {_OPTION}, or the one that holds {self.place} as "
                f"environment variable {VARIABLE}. {self.obtain}"
            )
        return folder

    def require(self, folder: pathlib.Path, parts: Iterable[str]) -> None:
        """Checks that a folder holds all of some parts; a part whose name ends with / is a folder.

        Raises:
            ValueError: One is missing; names what is there.
        """
        missing = [part for part in parts if not _is_there(folder / part, part)]
        if missing:
            raise ValueError(
                f"{folder} is no complete {self.title}: {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} missing. Expected are "
                f"{', '.join(self.holds)}; found: {entries(folder)}. {self.obtain}"
            )

    def _default(self) -> pathlib.Path:
        parent = os.environ.get(VARIABLE)
        if not parent:
            raise ValueError(
                f"It is not known where {self.title} lies. Set the environment variable "
                f"{VARIABLE} to the folder that holds {self.place}, or give the folder "
                f"{self.place} itself as {_OPTION}. {self.obtain}"
            )
        return pathlib.Path(parent) / self.place


def entries(folder: pathlib.Path) -> str:
    """The first few names in a folder, folders with a slash behind; "nothing" where it is empty."""
    names = sorted(f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir())
    return first_few(names, _FOUND) or "nothing"


def _is_there(path: pathlib.Path, part: str) -> bool:
    return path.is_dir() if part.endswith("/") else path.is_file()
