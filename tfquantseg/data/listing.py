"""Lists of a data set's files: text files of one name a line, and what they name."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable

from tfquantseg.names import first_few


def lines(path: pathlib.Path) -> list[tuple[int, str]]:
    """The lines of a list that are not empty, each with its number, from 1.

    Raises:
        ValueError: The list is missing, or is no text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text ({error}); save it as UTF-8.") from error
    except OSError as error:
        raise ValueError(f"The list {path} cannot be read: {error.strerror}.") from error
    numbered = enumerate(text.splitlines(), start=1)
    return [(number, line.strip()) for number, line in numbered if line.strip()]


def require(files: Iterable[pathlib.Path], what: str, source: str, advice: str) -> None:
    """Checks that files exist, all of them, so that one message names what is missing.

    Args:
        files: The files.
        what: What they are, as in "images".
        source: What names them, as in "The list train.txt".
        advice: What to do about it: a sentence.

    Raises:
        ValueError: Some are missing; names the first few.
    """
    wanted = list(files)
    missing = [file for file in wanted if not file.is_file()]
    if missing:
        folders = sorted({str(file.parent) for file in missing})
        raise ValueError(
            f"{source} names {len(wanted)} {what}, of which {len(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing in {first_few(folders, 2)}: "
            f"{first_few(file.name for file in missing)}. {advice}"
        )
