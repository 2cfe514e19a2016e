"""Takes one folder out of an archive, and lets no file leave it."""

from __future__ import annotations

import functools
import lzma
import pathlib
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,  # An encrypted ZIP.
)


class _Member(NamedTuple):
    """An entry of an archive.

    Attributes:
        name: Its path in the archive.
        kind: What it is.
        open: Opens a file's content.
    """

    name: str
    kind: str  # "file", "folder" or "other"
    open: Callable[[], IO[bytes]]


def unpack(
    archive: pathlib.Path,
    folder: str,
    to: pathlib.Path,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Writes the files that lie below a folder of an archive; what lies elsewhere is left out.

    Args:
        archive: A .zip file, or a .tar file, compressed or not.
        folder: Path in the archive, as `"VOCdevkit/VOC2012"`.
        to: The folder to make of it; must not exist.
        tell: Called after each file with the number of files done, and of all.

    Returns:
        The number of files written.

    Raises:
        ValueError: It is no archive or is damaged; an entry has an absolute path or one with "..";
            one below `folder` is a link or a device; there is none. Nothing is written before all
            entries have been looked at.
        OSError: `to` cannot be written.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                return _write(archive, list(_of_zip(opened)), folder, to, tell)
        with tarfile.open(archive) as opened_tar:
            return _write(archive, list(_of_tar(opened_tar)), folder, to, tell)
    except _DAMAGE as error:
        raise ValueError(f"{archive} cannot be unpacked: {error}. Fetch it again.") from error


def _of_zip(opened: zipfile.ZipFile) -> Iterator[_Member]:
    for info in opened.infolist():
        special = stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR)
        kind = "other" if special else "folder" if info.is_dir() else "file"
        yield _Member(info.filename, kind, functools.partial(opened.open, info))


def _of_tar(opened: tarfile.TarFile) -> Iterator[_Member]:
    def content(info: tarfile.TarInfo) -> IO[bytes]:
        file = opened.extractfile(info)
        if file is None:
            raise tarfile.TarError(f"{info.name} has no content")
        return file

    for info in opened.getmembers():
        kind = "file" if info.isfile() else "folder" if info.isdir() else "other"
        yield _Member(info.name, kind, functools.partial(content, info))


def _write(
    archive: pathlib.Path,
    members: list[_Member],
    folder: str,
    to: pathlib.Path,
    tell: Callable[[int, int], None],
) -> int:
    below = pathlib.PurePosixPath(folder)
    files = []
    for member in members:
        path = pathlib.PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or "\\" in member.name:
            raise ValueError(
                f"{archive} holds {member.name!r}, a path that leads out of its folder; nothing of "
                "it is unpacked."
            )
        if not path.is_relative_to(below):
            continue
        if member.kind == "other":
            raise ValueError(
                f"{archive} holds {member.name!r}, a link or a device; accepted are files and "
                "folders. Nothing of it is unpacked."
            )
        if member.kind == "file":
            files.append((member, to.joinpath(*path.relative_to(below).parts)))
    if not files:
        tops = sorted({member.name.split("/")[0] for member in members})
        raise ValueError(
            f"{archive} holds no file below {folder}, only {', '.join(tops[:5]) or 'nothing'}; it "
            "is another archive."
        )
    to.mkdir(parents=True)
    for done, (member, place) in enumerate(files, start=1):
        place.parent.mkdir(parents=True, exist_ok=True)
        with member.open() as source, place.open("xb") as target:
            shutil.copyfileobj(source, target)
        tell(done, len(files))
    return len(files)
