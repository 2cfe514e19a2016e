"""A virtual environment is made once for each lock, also by two builds at the same time.

The lock is empty, so that nothing is installed and no network is needed.
"""

import os
import pathlib
import subprocess
import sys

import pytest

from build_defs import locked_venv

SCRIPT = locked_venv.__file__


def start(folder: pathlib.Path, lock: pathlib.Path, output: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": "",
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    command = [sys.executable, SCRIPT, str(lock), str(folder / "venvs"), str(folder / output)]
    return subprocess.Popen(
        [*command, "--cost", "a moment"], stderr=subprocess.PIPE, text=True, env=environment
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


@pytest.fixture
def empty_lock(tmp_path: pathlib.Path) -> pathlib.Path:
    lock = tmp_path / "empty.lock"
    lock.write_text("# nothing\n")
    return lock


def test_two_builds_make_one_environment_and_a_third_says_nothing(
    tmp_path: pathlib.Path, empty_lock: pathlib.Path
) -> None:
    builds = [start(tmp_path, empty_lock, f"output{number}") for number in (1, 2)]
    results = [finish(build) for build in builds]
    assert [code for code, _ in results] == [0, 0]
    said = "".join(errors for _, errors in results)
    assert said.count("installing the locked Python packages of empty.lock once (a moment)") == 1
    assert finish(start(tmp_path, empty_lock, "output3")) == (0, "")

    interpreters = {(tmp_path / f"output{number}").read_text() for number in (1, 2, 3)}
    assert len(interpreters) == 1
    subprocess.run([interpreters.pop(), "-c", "import pip"], check=True)


def test_an_environment_left_half_made_is_made_again(
    tmp_path: pathlib.Path, empty_lock: pathlib.Path
) -> None:
    finish(start(tmp_path, empty_lock, "output"))
    environment = pathlib.Path((tmp_path / "output").read_text()).parent.parent
    (environment / "complete").unlink()  # as a killed build leaves it
    (environment / "left-over").touch()
    code, errors = finish(start(tmp_path, empty_lock, "output"))
    assert code == 0
    assert "installing" in errors
    assert (environment / "complete").is_file()
    assert not (environment / "left-over").exists()


def test_another_lock_has_another_environment(
    tmp_path: pathlib.Path, empty_lock: pathlib.Path
) -> None:
    finish(start(tmp_path, empty_lock, "output1"))
    empty_lock.write_text("# nothing, said differently\n")
    finish(start(tmp_path, empty_lock, "output2"))
    assert (tmp_path / "output1").read_text() != (tmp_path / "output2").read_text()


def test_a_failed_installation_shows_what_pip_said(tmp_path: pathlib.Path) -> None:
    lock = tmp_path / "wrong.lock"
    lock.write_text(f"nothing-of-this-name==1.0 --hash=sha256:{'0' * 64}\n")
    code, errors = finish(start(tmp_path, lock, "output"))
    assert code == 1
    assert "No matching distribution found for nothing-of-this-name==1.0" in errors
    assert not list(tmp_path.glob("venvs/*/complete"))


def test_an_untested_python_is_refused_in_one_sentence(
    tmp_path: pathlib.Path,
    empty_lock: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(locked_venv.sys, "version_info", (3, 10, 4))
    monkeypatch.setattr(locked_venv.platform, "python_version", lambda: "3.10.4")
    monkeypatch.setattr(
        locked_venv.sys, "argv", [SCRIPT, str(empty_lock), str(tmp_path), "output", "--cost", "x"]
    )
    with pytest.raises(SystemExit) as stop:
        locked_venv.main()
    assert stop.value.code == 1
    assert capsys.readouterr().err == (
        "tfquantseg: python3 on PATH is 3.10.4; tfquantseg needs Python 3.11, 3.12 or 3.13: "
        "put one of them first on PATH.\n"
    )
