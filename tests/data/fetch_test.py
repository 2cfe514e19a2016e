"""Fetching from a server that serves, moves, breaks off, lies and is not there."""

import hashlib
import pathlib
import socket
from collections.abc import Iterator

import numpy as np
import pytest

from tests.data import web_server
from tfquantseg.data.fetch import fetch

CONTENT = np.random.default_rng(0).bytes(3 * 2**20 + 17)
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[web_server.Server]:
    with web_server.serving(CONTENT) as running:
        yield running


def _fetch(url: str, to: pathlib.Path, checksum: str = MD5) -> list[tuple[int, int | None]]:
    told: list[tuple[int, int | None]] = []
    size = fetch(url, to, "md5", checksum, lambda *numbers: told.append(numbers), tries=3, wait=0)
    assert size == len(CONTENT)
    return told


@pytest.mark.parametrize("path", ["whole", "range", "moved"])
def test_a_file_is_fetched_and_told(
    server: web_server.Server, tmp_path: pathlib.Path, path: str
) -> None:
    told = _fetch(f"{server.url}/{path}", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize("path", ["unsized", "wordy"])
def test_a_length_that_is_not_told_is_not_needed(
    server: web_server.Server, tmp_path: pathlib.Path, path: str
) -> None:
    assert _fetch(f"{server.url}/{path}", tmp_path / "a")[-1] == (len(CONTENT), None)


def test_a_local_file_is_one_too(tmp_path: pathlib.Path) -> None:
    (tmp_path / "here").write_bytes(CONTENT)
    _fetch((tmp_path / "here").as_uri(), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_what_breaks_off_is_taken_up_where_it_broke(
    server: web_server.Server, tmp_path: pathlib.Path
) -> None:
    """Each connection brings half of what is left, down to the last byte."""
    told = _fetch(f"{server.url}/cut", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.asked[0] is None
    assert server.asked[1] == f"bytes={(len(CONTENT) + 1) // 2}-"
    assert {total for _, total in told} == {len(CONTENT)}


@pytest.mark.parametrize("path", ["always-cut", "empty"])
def test_what_is_cut_short_again_and_again_is_not_kept(
    server: web_server.Server, tmp_path: pathlib.Path, path: str
) -> None:
    with pytest.raises(ConnectionError, match=r"the connection ended early, 3 times .* Nothing is"):
        _fetch(f"{server.url}/{path}", tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_another_checksum_is_told_and_nothing_is_kept(
    server: web_server.Server, tmp_path: pathlib.Path
) -> None:
    message = rf"md5 checksum {MD5}, expected is {'0' * 32} \({len(CONTENT):,} bytes\)"
    with pytest.raises(ValueError, match=message):
        _fetch(f"{server.url}/whole", tmp_path / "a", "0" * 32)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_is_not_asked_for_again(
    server: web_server.Server, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(ConnectionError, match=r"/nothing is not to be had: .* 404 Not Found"):
        _fetch(f"{server.url}/nothing", tmp_path / "a")
    assert len(server.asked) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_server_in_trouble_is_asked_again(
    server: web_server.Server, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(ConnectionError, match=r"the server answers 503 .*, 3 times in a row"):
        _fetch(f"{server.url}/broken", tmp_path / "a")
    assert len(server.asked) == 3


def test_a_server_that_has_nothing_more_is_asked_from_the_beginning(
    server: web_server.Server, tmp_path: pathlib.Path
) -> None:
    """The file may have become shorter there since."""
    warned: list[str] = []
    with pytest.raises(ConnectionError, match=r"could not be fetched"):
        fetch(
            f"{server.url}/exhausted",
            tmp_path / "a",
            "md5",
            MD5,
            lambda done, total: None,
            warn=warned.append,
            tries=3,
            wait=0.0,
        )
    half = len(CONTENT) // 2
    assert server.asked[:3] == [None, f"bytes={half}-", None]
    assert warned[0] == (f"the connection ended early after {half:,} bytes; going on from there")
    assert warned[1] == "the server has no more of the file; trying again in 0 s (2 of 3)"
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_cannot_be_reached(tmp_path: pathlib.Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # And nobody listens.
        port = taken.getsockname()[1]
        with pytest.raises(ConnectionError, match=r"could not be fetched: .*Connection refused"):
            _fetch(f"http://127.0.0.1:{port}/a", tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(server: web_server.Server, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a").write_text("mine")
    with pytest.raises(FileExistsError):
        _fetch(f"{server.url}/whole", tmp_path / "a")
    assert (tmp_path / "a").read_text() == "mine"
