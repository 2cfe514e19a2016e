"""Lists of names, and the files that they name."""

import pathlib

import pytest

from tfquantseg.data import listing


def test_lines_keep_their_numbers_and_lose_their_blanks(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbfa\r\n\r\n  b \n")
    assert listing.lines(path) == [(1, "a"), (3, "b")]


def test_a_list_that_cannot_be_read_is_named(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "list.txt"
    with pytest.raises(ValueError, match=rf"list {path} cannot be read: No such file"):
        listing.lines(path)
    path.write_bytes("a".encode("utf-16"))
    with pytest.raises(ValueError, match=rf"{path} is no UTF-8 text"):
        listing.lines(path)


def test_missing_files_are_counted_and_the_first_are_named(tmp_path: pathlib.Path) -> None:
    files = [tmp_path / name for name in "abcdefgh"]
    files[1].touch()
    message = (
        rf"The list names 8 images, of which 7 are missing in {tmp_path}: a, c, d, e, f and 2 more"
        r"\. Do this\."
    )
    with pytest.raises(ValueError, match=message):
        listing.require(files, "images", "The list", "Do this.")
    listing.require(files[1:2], "images", "The list", "Do this.")
