"""What all commands share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags

from tfquantseg.cli import command


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    flags.DEFINE_integer("number", 3, "A number.", flag_values=values)
    flags.DEFINE_string("text", None, "A text.", flag_values=values)
    flags.DEFINE_float("share", None, "A share.", flag_values=values)
    flags.DEFINE_list("names", [], "Names.", flag_values=values)


def _execute(*argv: str, error: BaseException | None = None, stopped: str = "") -> int:
    def work(values: flags.FlagValues) -> int:
        if error:
            raise error
        return int(values["number"].value)

    return command.execute(
        ["it", *argv], about="About it.", define=_define, work=work, stopped=stopped
    )


def test_the_exit_code_is_that_of_the_work() -> None:
    assert _execute() == 3
    assert _execute("--number=7") == 7


def test_help_shows_what_it_does_and_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert _execute("--help", error=ValueError("not reached")) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("About it.\n")
    assert "--number: A number." in printed
    assert "--undefok" not in printed  # absl's own, of no use to a user


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--number=x", "flag --number=x: invalid literal for int() with base 10: 'x'"),
        ("--nmuber=3", "Unknown command line flag 'nmuber'. Did you mean: number ?"),
        ("--text=", "Flag --text is empty; give it a value, or leave it out."),
        ("--names=", "Flag --names is empty; give it a value, or leave it out."),
        ("--share=nan", "Flag --share is nan; give it a number, or leave it out."),
        ("number", "Argument 'number' is not understood; flags start with '--'."),
    ],
)
def test_a_mistyped_command_line_is_one_message(
    argument: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _execute(argument) == command.USER_ERROR
    assert capsys.readouterr().err == f"Error: {message}\n"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("Mend it."), "Mend it."),
        (FileNotFoundError("There is no such run."), "There is no such run."),
        (FloatingPointError("Step 3 failed."), "Step 3 failed."),
        (ModuleNotFoundError("It needs: pip install extra."), "It needs: pip install extra."),
        (PermissionError(13, "Permission denied", "/run"), "Permission denied: /run."),
        (OSError(28, "No space left on device"), "No space left on device."),
    ],
)
def test_an_error_that_a_user_can_mend_is_one_message(
    error: Exception, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _execute(error=error) == command.USER_ERROR
    assert capsys.readouterr().err == f"Error: {message}\n"


def test_verbosity_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert _execute("--verbosity=1", error=ValueError("Mend it.")) == command.USER_ERROR
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback (most recent call last):\n")
    assert shown.endswith("Error: Mend it.\n")


@pytest.mark.parametrize("stopped", ["", " It goes on with what is missing."])
def test_ctrl_c_is_one_line(stopped: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _execute(error=KeyboardInterrupt(), stopped=stopped.strip()) == 130
    # The terminal shows ^C, and perhaps a line that is drawn anew, where it stands.
    assert capsys.readouterr().err == f"\nStopped by Ctrl-C.{stopped}\n"
    assert _execute("--verbosity=1", error=KeyboardInterrupt()) == 130
    assert "Traceback (most recent call last):\n" in capsys.readouterr().err


def test_an_error_of_the_program_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        _execute(error=ZeroDivisionError())
    with pytest.raises(ModuleNotFoundError):
        _execute(error=ModuleNotFoundError("No module named 'x'", name="x"))


def test_commands_are_shown_as_they_were_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BUILD_WORKING_DIRECTORY", raising=False)
    assert command.command_line("train") == "tfquantseg-train"
    monkeypatch.setenv("BUILD_WORKING_DIRECTORY", "/home/me")
    assert command.command_line("train") == "./bazelw run //tools:train --"


def test_paths_are_shown_relative_to_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.shown(Path("runs/a")) == "runs/a"
    assert command.shown(tmp_path / "runs" / "a") == "runs/a"
    assert command.shown(Path("/elsewhere/a")) == "/elsewhere/a"
    assert command.shown(tmp_path / "there" / ".." / "a") == "a"
    assert command.shown(Path("..") / "a") == str(tmp_path.parent / "a")


def test_paths_start_where_the_user_typed_them_and_help_needs_no_tensorflow(
    tmp_path: Path,
) -> None:
    (tmp_path / "mine.py").write_text(
        "from ml_collections import ConfigDict\n"
        "def get_config():\n"
        "    return ConfigDict({'seed': 0})\n"
    )
    code = (
        "import atexit, os, sys\n"
        "atexit.register(lambda: print(os.getcwd(), 'tensorflow' in sys.modules))\n"
        "from tfquantseg.cli.train import run\n"
        "run()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "--config=mine.py", "--help"],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "BUILD_WORKING_DIRECTORY": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == f"{tmp_path} False"
    assert "tfquantseg-runs/mine" in ended.stdout
