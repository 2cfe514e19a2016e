"""Files and folders are whole or absent."""

import re
from pathlib import Path

import pytest

from tfquantseg.training import whole


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    whole.write_whole(tmp_path / "a", b"old")
    whole.write_whole(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert _names(tmp_path) == ["a"]


def test_a_file_that_cannot_be_renamed_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        whole.write_whole(tmp_path / "a", b"new")
    assert _names(tmp_path) == ["a"]


def test_a_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    with whole.whole_folder(tmp_path / "a") as folder:
        (folder / "file").write_text("content")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a" / "file").read_text() == "content"
    assert _names(tmp_path) == ["a"]


def test_a_folder_whose_block_fails_never_appears(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk"), whole.whole_folder(tmp_path / "a") as folder:
        (folder / "file").write_text("content")
        raise OSError("disk")
    assert _names(tmp_path) == []


def test_a_folder_that_exists_is_not_replaced(tmp_path: Path) -> None:
    with whole.whole_folder(tmp_path / "a") as folder:
        (folder / "file").write_text("old")
    with pytest.raises(OSError, match="not empty"), whole.whole_folder(tmp_path / "a"):
        pass
    assert (tmp_path / "a" / "file").read_text() == "old"


def test_a_removed_folder_is_gone(tmp_path: Path) -> None:
    with whole.whole_folder(tmp_path / "a") as folder:
        (folder / "file").write_text("content")
    whole.remove_folder(tmp_path / "a")
    assert _names(tmp_path) == []


def test_what_a_crash_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".unfinished-1-a").mkdir()
    (tmp_path / ".unfinished-1-a" / "file").write_text("half")
    (tmp_path / ".unfinished-2-b").write_text("half")
    (tmp_path / "kept").write_text("whole")
    whole.remove_unfinished(tmp_path)
    assert _names(tmp_path) == ["kept"]


def test_what_cannot_be_written_is_named_by_its_own_name(tmp_path: Path) -> None:
    whole.check_writable(tmp_path / "file")
    missing = tmp_path / "none" / "file"
    for path, named in ((tmp_path, tmp_path), (missing, missing.parent)):
        with pytest.raises(OSError, match=re.escape(repr(str(named)))):
            whole.check_writable(path)
    with pytest.raises(OSError, match=re.escape(repr(str(missing)))) as caught:
        whole.write_whole(missing, b"")
    assert "unfinished" not in str(caught.value)
