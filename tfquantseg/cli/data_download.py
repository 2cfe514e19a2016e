"""Fetches a published data set, checks that it is whole, and unpacks it.

Examples:
  data download voc2012
      PASCAL VOC 2012 into the folder that TFQUANTSEG_DATA names, as VOCdevkit/VOC2012.
  data download sbd --to=FOLDER
      SBD's masks, for the 10,582 images of train_aug; FOLDER is what TFQUANTSEG_DATA will name.
  data download ade20k --url=https://a.mirror/ADEChallengeData2016.zip
      SceneParse150 from elsewhere; the checksum has to be the same. A file that you have fetched
      yourself is --url=file:///PATH.

It shows the licence first. A connection that breaks is taken up again; when that does not help, or
the checksum is wrong, nothing is kept. The folder appears when all of it is there.

Cityscapes and KITTI road (behind a login), ECSSD (without a licence) and CamVid (a part of another
project) are not fetched: their names are answered with what to do by hand.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import flags

from tfquantseg.cli import command, outputs

_VARIABLE = "TFQUANTSEG_DATA"


def download(argv: Sequence[str]) -> int:
    """Downloads; `argv` is the command line without the action. Returns the exit code."""
    program, *rest = argv
    names = [argument for argument in rest if not argument.startswith("-")]
    given = [argument for argument in rest if argument not in names[:1]]
    return command.execute(
        [program, *given],
        about=__doc__ or "",
        define=_define,
        work=lambda values: _download(values, names[0] if names else None),
    )


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    del argv
    flags.DEFINE_string(
        "to",
        os.environ.get(_VARIABLE) or None,
        f"Folder of the data sets; by default that of {_VARIABLE}.",
        flag_values=values,
    )
    flags.DEFINE_string("url", None, "Where else the archive is, as a mirror.", flag_values=values)
    outputs.define_json(values, "what was done")


def _download(values: flags.FlagValues, name: str | None) -> int:
    from tfquantseg.data import sources, unpack
    from tfquantseg.data.fetch import fetch
    from tfquantseg.training import whole
    from tfquantseg.training.bar import Bytes, Count

    if name is None:
        raise ValueError(f"Say which data set to download: {', '.join(sources.SOURCES)}.")
    source = sources.find(name)
    if values.to is None:
        raise ValueError(
            f"It is not known where to put {source.title}; give a folder as --to, or set the "
            f"environment variable {_VARIABLE}."
        )
    parent = Path(values.to)
    place = parent / source.place
    if place.exists():
        raise FileExistsError(f"{place} exists already; remove it to fetch {source.title} anew.")
    parent.mkdir(parents=True, exist_ok=True)
    whole.check_writable(parent / f"{whole.UNFINISHED}download")
    json_to = outputs.json_path(values)
    url = values.url or source.url
    print(f"{source.title}, about {source.size}")
    print(f"Licence   {source.licence}")
    print(f"From      {url}")
    print(f"Checksum  {source.algorithm} {source.checksum} ({source.checksum_from})", flush=True)
    # One name, so that what a killed run has left is found and removed.
    with _alone(parent / f"{whole.UNFINISHED}download-{name}", source.title) as unfinished:
        archive = unfinished / "archive"
        progress = Bytes(sys.stderr)
        size = fetch(
            url, archive, source.algorithm, source.checksum, progress.show, warn=progress.say
        )
        progress.end()
        count: list[Count] = []

        def unpacked(done: int, total: int) -> None:
            if not count:
                count.append(Count(total, "files unpacked", sys.stderr))
            count[0].step()

        files = unpack.unpack(archive, source.place, unfinished / "data", unpacked)
        os.sync()
        place.parent.mkdir(parents=True, exist_ok=True)
        os.rename(unfinished / "data", place)
    print(f"Data   {command.shown(place)} ({files:,} files)")
    if json_to:
        content = {
            "data": name,
            "url": url,
            "bytes": size,
            "algorithm": source.algorithm,
            "checksum": source.checksum,
            "files": files,
            "folder": str(place.absolute()),
        }
        print(f"JSON   {outputs.write_json(json_to, content)}")
    print("Next:")
    if os.environ.get(_VARIABLE) != values.to:
        print(f"  export {_VARIABLE}={shlex.quote(str(parent.absolute()))}")
    print(f"  {command.command_line('data')} check --config={source.recipe}")
    return 0


@contextlib.contextmanager
def _alone(folder: Path, title: str) -> Iterator[Path]:
    """Makes an empty folder that nobody else works in, and removes it in the end.

    Raises:
        ValueError: Another process works in it.
    """
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # The kernel frees the lock when the process ends, however it ends.
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"{title} is being fetched into {folder.parent} by another process; wait for it, "
                "or give another folder as --to."
            ) from None
        for left in folder.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)
    finally:
        os.close(descriptor)
