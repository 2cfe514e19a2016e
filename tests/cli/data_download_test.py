"""The command data download, against a server on this machine."""

import dataclasses
import fcntl
import hashlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data import archives, web_server
from tfquantseg.cli import data, recipes
from tfquantseg.data import sources


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.array([[0, 1, 2]], np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def _jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((1, 3, 3), np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


ROOT = "ADEChallengeData2016"
FILES = {
    f"{ROOT}/{kind}/{part}/ADE_{short}_1.{ending}": content
    for part, short in (("training", "train"), ("validation", "val"))
    for kind, ending, content in (("images", "jpg", _jpeg()), ("annotations", "png", _png()))
}
ARCHIVE = archives.zipped(FILES)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[web_server.Server]:
    """A server of a small ADE20K, whose checksum stands in the table; the folder is empty."""
    monkeypatch.chdir(tmp_path)
    for variable in ("BUILD_WORKING_DIRECTORY", "TFQUANTSEG_DATA"):
        monkeypatch.delenv(variable, raising=False)
    checksum = hashlib.sha1(ARCHIVE).hexdigest()
    with web_server.serving(ARCHIVE) as running:
        source = dataclasses.replace(
            sources.SOURCES["ade20k"], url=f"{running.url}/whole", checksum=checksum
        )
        monkeypatch.setattr(sources, "SOURCES", {**sources.SOURCES, "ade20k": source})
        yield running


def _files() -> set[str]:
    return {str(path) for path in Path().rglob("*") if path.is_file()}


def test_a_data_set_is_fetched_and_can_be_read(
    server: web_server.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("sets").mkdir()
    assert data.main(["data", "download", "ade20k", "--to=sets", "--json=done.json"]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0] == "SceneParse150 (ADE20K), about 1 GB"
    assert lines[1].startswith("Licence   Annotations: BSD 3-Clause.")
    assert lines[2] == f"From      {server.url}/whole"
    assert "Data   sets/ADEChallengeData2016 (4 files)" in lines
    assert lines[-2] == f"  export TFQUANTSEG_DATA={Path('sets').absolute()}"
    assert lines[-1] == "  tfquantseg-data check --config=ade20k_deeplab"
    assert "4/4 files unpacked" in printed.err
    assert _files() == {f"sets/{name}" for name in FILES} | {"done.json"}
    found = json.loads(Path("done.json").read_text())
    assert (found["data"], found["files"], found["bytes"]) == ("ade20k", 4, len(ARCHIVE))


def test_what_was_fetched_is_checked_as_the_last_line_says(
    server: web_server.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFQUANTSEG_DATA", str(Path.cwd()))
    assert data.main(["data", "download", "ade20k"]) == 0
    assert data.main(["data", "check", "--config=ade20k_deeplab"]) == 0


@pytest.mark.parametrize("path", ["moved", "cut"])
def test_a_mirror_may_move_and_break_off(server: web_server.Server, path: str) -> None:
    assert data.main(["data", "download", "ade20k", "--to=.", f"--url={server.url}/{path}"]) == 0
    assert _files() == set(FILES)


def test_a_file_that_was_fetched_by_hand(server: web_server.Server) -> None:
    Path("mine.zip").write_bytes(ARCHIVE)
    url = Path("mine.zip").absolute().as_uri()
    assert data.main(["data", "download", "ade20k", "--to=.", f"--url={url}"]) == 0
    assert _files() == {*FILES, "mine.zip"}
    assert server.asked == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ARCHIVE[:-1], "sha1 checksum"),
        (archives.zipped({**FILES, f"{ROOT}/../../out": b""}), "sha1 checksum"),
    ],
)
def test_another_file_leaves_nothing_behind(
    server: web_server.Server,
    content: bytes,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("sets").mkdir()
    with web_server.serving(content) as other:
        url = f"--url={other.url}/whole"
        assert data.main(["data", "download", "ade20k", "--to=sets", url]) == 2
    assert message in capsys.readouterr().err
    assert list(Path("sets").iterdir()) == []


def test_an_archive_that_leads_out_leaves_nothing_behind(
    server: web_server.Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = archives.zipped({**FILES, f"{ROOT}/../../out": b""})
    source = dataclasses.replace(
        sources.SOURCES["ade20k"], checksum=hashlib.sha1(content).hexdigest()
    )
    monkeypatch.setattr(sources, "SOURCES", {"ade20k": source})
    with web_server.serving(content) as other:
        url = f"--url={other.url}/whole"
        assert data.main(["data", "download", "ade20k", "--to=.", url]) == 2
    assert "a path that leads out of its folder" in capsys.readouterr().err
    assert list(Path().iterdir()) == []


def test_what_a_killed_run_left_is_removed(server: web_server.Server) -> None:
    Path(".unfinished-download-ade20k").mkdir()
    Path(".unfinished-download-ade20k/archive").write_text("half of it")
    assert data.main(["data", "download", "ade20k", "--to=."]) == 0
    assert _files() == set(FILES)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "Say which data set to download: ade20k, sbd, voc2012."),
        (["ade20k"], "It is not known where to put SceneParse150 (ADE20K); give a folder as --to"),
        (["ade20k", "--to=.", "--json=none/a"], "There is no such folder to write to: none."),
        (["ade2k", "--to=."], "Unknown data set to download 'ade2k'"),
        (["ade20k", "voc2012"], "Argument 'voc2012' is not understood"),
        (["cityscapes", "--to=."], "Cityscapes is not fetched by this command. It is behind a"),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_fetched(
    server: web_server.Server,
    argv: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert data.main(["data", "download", *argv]) == 2
    assert capsys.readouterr().err.startswith(f"Error: {message}")
    assert server.asked == []
    assert list(Path().iterdir()) == []


def test_a_data_set_that_is_there_is_left_alone(
    server: web_server.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(ROOT).mkdir()
    assert data.main(["data", "download", "ade20k", "--to=."]) == 2
    assert "ADEChallengeData2016 exists already; remove it to" in capsys.readouterr().err
    assert server.asked == []


@pytest.mark.parametrize("name", sources.SOURCES)
def test_each_data_set_has_a_recipe_that_reads_it(name: str) -> None:
    assert sources.find(name).recipe in recipes.shipped()


def test_a_folder_that_is_not_there_is_made(server: web_server.Server) -> None:
    assert data.main(["data", "download", "ade20k", "--to=new folder/data"]) == 0
    assert (Path("new folder/data") / ROOT).is_dir()


def test_two_at_once_do_not_disturb_each_other(
    server: web_server.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    busy = Path(".unfinished-download-ade20k")
    busy.mkdir()
    (busy / "archive").write_bytes(b"of the other")
    descriptor = os.open(busy, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert data.main(["data", "download", "ade20k", "--to=."]) == 2
    finally:
        os.close(descriptor)
    assert "is being fetched into . by another process; wait for it" in capsys.readouterr().err
    assert (busy / "archive").read_bytes() == b"of the other"
    # What a killed one has left is no lock.
    assert data.main(["data", "download", "ade20k", "--to=."]) == 0
    assert not busy.exists()
