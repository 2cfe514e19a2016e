"""One folder of an archive, and archives that are not to be trusted."""

import pathlib

import pytest

from tests.data import archives
from tfquantseg.data.unpack import unpack

FILES = {"set/one/a.txt": b"a", "set/one/deep/b.txt": b"b" * 5000, "set/readme": b"no", "z": b""}
KINDS = pytest.mark.parametrize("make", [archives.zipped, archives.tarred])


def _archive(folder: pathlib.Path, content: bytes) -> pathlib.Path:
    path = folder / "archive"
    path.write_bytes(content)
    return path


@KINDS
def test_the_files_below_a_folder_are_written(tmp_path: pathlib.Path, make) -> None:
    told: list[tuple[int, int]] = []
    archive = _archive(tmp_path, make(FILES))
    count = unpack(archive, "set/one", tmp_path / "to", lambda *numbers: told.append(numbers))
    assert count == 2
    assert told == [(1, 2), (2, 2)]
    written = {path: path.read_bytes() for path in (tmp_path / "to").rglob("*") if path.is_file()}
    assert written == {
        tmp_path / "to/a.txt": b"a",
        tmp_path / "to/deep/b.txt": b"b" * 5000,
    }


@KINDS
@pytest.mark.parametrize("name", ["set/../../out", "/out", "set/one/../../../out", "..\\out"])
def test_a_path_that_leads_out_is_refused(tmp_path: pathlib.Path, make, name: str) -> None:
    archive = _archive(tmp_path, make({**FILES, name: b"out"}))
    with pytest.raises(ValueError, match=r"out', a path that leads out of its folder"):
        unpack(archive, "set/one", tmp_path / "to")
    assert list(tmp_path.iterdir()) == [archive]


@KINDS
def test_a_link_is_refused(tmp_path: pathlib.Path, make) -> None:
    archive = _archive(tmp_path, make(FILES, link="set/one/passwords"))
    with pytest.raises(ValueError, match=r"'set/one/passwords', a link or a device"):
        unpack(archive, "set/one", tmp_path / "to")
    assert list(tmp_path.iterdir()) == [archive]
    unpack(_archive(tmp_path, make(FILES, link="set/elsewhere")), "set/one", tmp_path / "to")


@KINDS
def test_another_archive_is_told_by_what_it_holds(tmp_path: pathlib.Path, make) -> None:
    archive = _archive(tmp_path, make(FILES))
    with pytest.raises(ValueError, match=r"holds no file below VOCdevkit, only set, z; it is"):
        unpack(archive, "VOCdevkit", tmp_path / "to")


@pytest.mark.parametrize(
    "content", [b"", b"no archive", archives.tarred(FILES)[:-30], archives.zipped(FILES)[:-30]]
)
def test_a_damaged_archive_is_named(tmp_path: pathlib.Path, content: bytes) -> None:
    archive = _archive(tmp_path, content)
    with pytest.raises(ValueError, match=rf"{archive} cannot be unpacked: "):
        unpack(archive, "set/one", tmp_path / "to")
