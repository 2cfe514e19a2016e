"""Makes a virtual environment of a lock once, for every checkout that has the same lock.

The environment's folder is `<folder>/<Python version>-<SHA-256 of the lock>`. A virtual environment
cannot be renamed (its programs hold its path), so it is made in place, under a lock file, and is
whole only when its marker exists. One that was left half-made is made again.

Runs under any Python 3 on PATH, with the standard library only.
"""

from __future__ import annotations  # an older Python must get as far as the sentence about its age

import argparse
import contextlib
import fcntl
import hashlib
import os
import pathlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator

OLDEST = (3, 11)
NEWEST = (3, 13)
MARKER = "complete"
LOG_LINES = 30


def say(text: str) -> None:
    """Writes one line for the user."""
    print(f"tfquantseg: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def exclusive(path: pathlib.Path) -> Iterator[None]:
    """Holds the lock file `path`; the system releases it when the process ends, however it ends."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another build that makes {path.with_suffix('')}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(command: list[str], log: pathlib.Path) -> None:
    """Runs `command` with its output in `log`; on failure shows the end of it and exits."""
    with log.open("ab") as output:
        code = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT).returncode
    if code:
        lines = log.read_text(errors="replace").splitlines()
        say(f"this command failed with status {code}: {' '.join(command)}")
        print("\n".join(lines[-LOG_LINES:]), file=sys.stderr)
        sys.exit(1)


def works(environment: pathlib.Path) -> bool:
    """Whether `environment` is whole and the interpreter that it was made from still exists."""
    return (environment / MARKER).is_file() and (environment / "bin" / "python3").exists()


def make(lock: pathlib.Path, folder: pathlib.Path, cost: str) -> pathlib.Path:
    """Returns the environment of `lock` in `folder`, made first if it is not there yet."""
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    name = f"{platform.python_version()}-{digest}"
    environment = folder / name
    if works(environment):
        return environment
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / f"{name}.lock"):
        if works(environment):
            return environment
        say(f"installing the locked Python packages of {lock.name} once ({cost}) in {environment}")
        shutil.rmtree(environment, ignore_errors=True)
        environment.mkdir()
        log = environment / "install.log"
        run([sys.executable, "-m", "venv", str(environment)], log)
        pip = [str(environment / "bin" / "python3"), "-m", "pip"]
        run([*pip, "install", "--require-hashes", "-r", str(lock)], log)
        marker = environment / f"{MARKER}.new"
        marker.write_text(f"{lock.name} {digest}\n")
        os.replace(marker, environment / MARKER)
        say("the Python packages are installed")
    return environment


def main() -> None:
    """Writes the path of a lock's interpreter into a file; says nothing if it was there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lock", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path, help="where environments are kept")
    parser.add_argument("output", type=pathlib.Path, help="the file for the interpreter's path")
    parser.add_argument("--cost", required=True, help="what to tell the user to expect")
    arguments = parser.parse_args()
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        say(
            f"python3 on PATH is {platform.python_version()}; tfquantseg needs Python "
            "3.11, 3.12 or 3.13: put one of them first on PATH."
        )
        sys.exit(1)
    environment = make(arguments.lock, arguments.folder, arguments.cost)
    arguments.output.write_text(str(environment / "bin" / "python3"))


if __name__ == "__main__":
    main()
