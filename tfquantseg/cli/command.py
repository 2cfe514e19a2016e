"""What all commands share: where paths start, the flags, and how errors are told.

Exit codes: 0 done; 2 an error, whose message says how to mend it; 128 + n stopped by signal n
(143 for SIGTERM, 130 for Ctrl-C).
"""

from __future__ import annotations

import importlib
import math
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import app, flags

USER_ERROR = 2
STOPPED = 128
"""Exit codes above it are those of a signal."""
_HELP = ("--help", "-help", "--?", "-?")
_EXPECTED = (ValueError, OSError, FloatingPointError, flags.Error)


def execute(
    argv: Sequence[str],
    *,
    about: str,
    define: Callable[[flags.FlagValues, list[str]], None],
    work: Callable[[flags.FlagValues], int],
    stopped: str = "",
) -> int:
    """Parses the command line and does the work.

    Args:
        argv: The command line, the program's name first.
        about: What `--help` says: what the command does, and an example.
        define: Defines the command's flags in the given `FlagValues`, for the given `argv`.
        work: Does the command's work with the parsed flags, after TensorFlow has been imported;
            returns the exit code. Modules that need TensorFlow are imported in there, so that
            `--help` and a mistyped flag are answered at once.
        stopped: A sentence that Ctrl-C is answered with: what the same command does next.

    Returns:
        The exit code. Errors that a user can mend are told in one message on stderr, and so is
        Ctrl-C; with `--verbosity=1` their traceback comes before it.
    """
    values = flags.FlagValues()
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="?", flag_values=values)
    flags.DEFINE_integer(
        "verbosity", 0, "1 shows the traceback of an error.", 0, 1, flag_values=values
    )
    verbose = any(argument in ("--verbosity=1", "-verbosity=1") for argument in argv)
    try:
        define(values, list(argv))
        if any(argument in _HELP for argument in argv):  # also where a required flag is missing
            print(f"{about.strip()}\n\nFlags:\n{values.get_help(include_special_flags=False)}")
            return 0
        rest = values(list(argv))[1:]
        if rest:
            raise ValueError(f"Argument {rest[0]!r} is not understood; flags start with '--'.")
        for name in values:
            value = values[name].value
            if value == "" or (value == [] and values[name].present):
                raise ValueError(f"Flag --{name} is empty; give it a value, or leave it out.")
            if isinstance(value, float) and math.isnan(value):
                raise ValueError(f"Flag --{name} is nan; give it a number, or leave it out.")
        _import_tensorflow()
        return work(values)
    except KeyboardInterrupt:
        if verbose:
            traceback.print_exc()
        print(f"\nStopped by Ctrl-C. {stopped}".rstrip(), file=sys.stderr)
        return STOPPED + signal.SIGINT
    except (*_EXPECTED, ModuleNotFoundError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name:
            raise  # Python's own; one of ours says which extra is to be installed.
        if verbose:
            traceback.print_exc()
        print(f"Error: {_text(error)}", file=sys.stderr)
        return USER_ERROR


def run(main: Callable[[list[str]], int]) -> None:
    """Runs a command as a program, with paths relative to where the user typed it.

    `bazel run` starts a program in a folder of its own and leaves the user's in
    BUILD_WORKING_DIRECTORY.
    """
    os.chdir(os.environ.get("BUILD_WORKING_DIRECTORY", "."))
    # Each command parses its own flags; absl's own, which no command uses, get their defaults.
    app.run(main, flags_parser=_leave_to_main)


def command_line(command: str) -> str:
    """How a user types a command of this project, in the way that this process was started."""
    started_by_bazel = "BUILD_WORKING_DIRECTORY" in os.environ
    return f"./bazelw run //tools:{command} --" if started_by_bazel else f"tfquantseg-{command}"


def shown(path: Path) -> str:
    """A path as short as it can be typed here."""
    absolute = path.resolve() if ".." in path.parts else path.absolute()
    here = Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)


def _import_tensorflow() -> None:
    """Imports TensorFlow without what its libraries print while they load.

    They print five lines about processors and drivers before they read any setting. Where loading
    fails, the lines are shown.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            importlib.import_module("tensorflow")
        except Exception:
            captured.seek(0)
            os.write(stderr, captured.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _leave_to_main(argv: list[str]) -> list[str]:
    flags.FLAGS(argv[:1])
    return argv


def _text(error: Exception) -> str:
    """The message of an error; of the system's, without its number and with its file."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}{f': {error.filename}' if error.filename else ''}."
    return str(error)
