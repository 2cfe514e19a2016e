"""Files and folders that appear under their final name only when they are whole.

What is written goes to a hidden temporary name in the same folder, reaches the disk, and is then
renamed. Whoever looks, at any moment and after any crash, finds either the old or the new.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

UNFINISHED = ".unfinished-"
"""How the names of what is not whole yet begin."""


def check_writable(path: Path) -> None:
    """Checks that a file can be written, before the work whose result it shall hold.

    Raises:
        OSError: `path` is a folder, or its folder is missing or cannot be written.
    """
    if path.is_dir():
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not path.parent.is_dir():
        raise OSError(errno.ENOENT, "There is no such folder to write to", str(path.parent))
    if not os.access(path.parent, os.W_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file, or replaces it, in one step.

    Raises:
        OSError: The disk is full or the folder cannot be written; names `path`, which is untouched.
    """
    temporary = path.with_name(f"{UNFINISHED}{uuid.uuid4().hex}-{path.name}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder to fill; it becomes `path` when the block ends without an error.

    Raises:
        FileExistsError: `path` exists already and is not empty.
        OSError: As the block raised it; what it wrote is gone, and `path` does not exist.
    """
    temporary = path.with_name(f"{UNFINISHED}{uuid.uuid4().hex}-{path.name}")
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.iterdir():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
        _sync_folder(temporary)
        os.rename(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync_folder(path.parent)


def remove_folder(path: Path) -> None:
    """Removes a folder such that it is never seen half removed under its name."""
    doomed = path.with_name(f"{UNFINISHED}{uuid.uuid4().hex}-{path.name}")
    os.rename(path, doomed)
    shutil.rmtree(doomed)


def remove_unfinished(folder: Path) -> None:
    """Removes what a crashed process left; call it only where no other process is writing."""
    for path in folder.glob(f"{UNFINISHED}*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def is_unfinished(name: str) -> bool:
    """Whether a file or folder of this name is one that has not become whole."""
    return name.startswith(UNFINISHED)


def _sync_folder(folder: Path) -> None:
    """Makes a rename inside `folder` outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
