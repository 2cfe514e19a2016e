"""Where a published data set lies, and what is missing there."""

import pathlib

import pytest

from tfquantseg.data.layout import Layout, entries

LAYOUT = Layout(title="Things", place="box/Things", holds=("a/", "b.txt"), obtain="Fetch it.")


def test_the_folder_is_below_the_variable_or_the_root(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "box/Things").mkdir(parents=True)
    monkeypatch.setenv("TFQUANTSEG_DATA", str(tmp_path))
    assert LAYOUT.find(None) == tmp_path / "box/Things"
    assert LAYOUT.find(tmp_path / "box") == tmp_path / "box"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert LAYOUT.find("~/box") == tmp_path / "box"


def test_a_folder_that_is_not_found_is_told_with_what_to_do(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TFQUANTSEG_DATA", raising=False)
    with pytest.raises(ValueError, match=r"not known where Things lies\. Set .* box/Things.*Fetch"):
        LAYOUT.find(None)
    with pytest.raises(ValueError, match=rf"no Things data folder {tmp_path}/x\. .*a/, b\.txt"):
        LAYOUT.find(tmp_path / "x")
    with pytest.raises(ValueError, match=r"Option `root` is empty; give the folder of Things"):
        LAYOUT.find("")


def test_missing_parts_are_told_beside_what_is_there(tmp_path: pathlib.Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "a").write_text("a file, where a folder is expected")
    message = r"a/, b\.txt are missing\. Expected are a/, b\.txt; found: a, c/\. Fetch it\."
    with pytest.raises(ValueError, match=message):
        LAYOUT.require(tmp_path, LAYOUT.holds)
    (tmp_path / "a").unlink()
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match=r"Things: b\.txt is missing"):
        LAYOUT.require(tmp_path, LAYOUT.holds)
    (tmp_path / "b.txt").touch()
    LAYOUT.require(tmp_path, LAYOUT.holds)


def test_many_entries_are_cut_and_none_are_nothing(tmp_path: pathlib.Path) -> None:
    assert entries(tmp_path) == "nothing"
    for name in "abcdefghij":
        (tmp_path / name).touch()
    assert entries(tmp_path) == "a, b, c, d, e, f, g, h and 2 more"
