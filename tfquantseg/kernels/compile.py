"""Compiles the library of own ops for the TensorFlow at hand, beside this file.

    python -m tfquantseg.kernels.compile
    python tfquantseg/kernels/compile.py --objects=build/kernels    compiles only what changed

The second is quicker: it imports neither package nor TensorFlow. Bazel compiles the same sources by
itself (BUILD), with the flags of flags.bzl too.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import importlib.metadata
import importlib.util
import os
import pathlib
import runpy
import shutil
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).parent
LIBRARY = "_kernels.so"
_USER_ERROR = 2


class NotCompiledError(Exception):
    """The library cannot be compiled here; the message says why and what to do."""


def compile_library(target: pathlib.Path, objects: pathlib.Path) -> None:
    """Compiles every `*.cc` of this folder and links them.

    Args:
        target: The file to write; it appears when it is whole, and a process that has loaded an
            older one keeps that.
        objects: A folder for compiled files. Their names hold a digest of all that they are made
            of, so one that is there is not made again.

    Raises:
        NotCompiledError: If there is no C++ compiler or no TensorFlow, or the compiler refused a
            file, what it said included.
    """
    compiler = _compiler()
    version, tensorflow = _tensorflow()
    settings = runpy.run_path(str(FOLDER / "flags.bzl"))
    flags = [
        *settings["COPTS"],
        *settings["TENSORFLOW_COPTS"],
        # Not -I: warnings in TensorFlow's headers are not ours.
        f"-isystem{tensorflow / 'include'}",
        f'-DTFQUANTSEG_TENSORFLOW="{version}"',
    ]
    # Last among the folders of headers: where this is installed, all packages lie in it.
    ours = f"-idirafter{FOLDER.parents[1]}"
    headers = b"".join(path.read_bytes() for path in sorted(FOLDER.glob("*.h")))
    objects.mkdir(parents=True, exist_ok=True)

    def compiled(source: pathlib.Path) -> pathlib.Path:
        made_of = [repr([compiler, version, flags]).encode(), headers, source.read_bytes()]
        digest = hashlib.sha256(b"\0".join(made_of)).hexdigest()[:16]
        made = objects / f"{source.stem}-{digest}.o"
        if not made.exists():
            _whole(made, [compiler, *flags, ours, "-c", str(source)])
        return made

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        made = list(pool.map(compiled, sorted(FOLDER.glob("*.cc"))))
    link = [f"-L{tensorflow}", *settings["TENSORFLOW_LINKOPTS"]]
    _whole(target, [compiler, "-shared", *map(str, made), *link])


def main() -> int:
    """Compiles beside this file, says what was written; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tfquantseg.kernels.compile", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--objects", type=pathlib.Path, help="keeps compiled files in this folder")
    arguments = parser.parse_args()
    target = FOLDER / LIBRARY
    try:
        with tempfile.TemporaryDirectory() as folder:
            compile_library(target, arguments.objects or pathlib.Path(folder))
    except (NotCompiledError, OSError) as error:
        print(error, file=sys.stderr)
        return _USER_ERROR
    print(f"Wrote {target}")
    return 0


def _compiler() -> str:
    """Returns the C++ compiler: CXX, as in all builds, else what is on PATH."""
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++", "c++"]
    for name in names:
        if found := shutil.which(name):
            return found
    raise NotCompiledError(
        f"No C++ compiler: {' or '.join(names)} is not on PATH. Install one (Debian, Ubuntu: "
        "apt install g++), or go on with TensorFlow's own ops."
    )


def _tensorflow() -> tuple[str, pathlib.Path]:
    """Returns version and folder of TensorFlow, without the seconds of importing it."""
    found = importlib.util.find_spec("tensorflow")
    providers = importlib.metadata.packages_distributions().get("tensorflow")
    if not found or not found.submodule_search_locations or not providers:
        raise NotCompiledError(
            f"{sys.executable} has no TensorFlow to compile for: use the Python that has it."
        )
    folder = pathlib.Path(found.submodule_search_locations[0])
    return importlib.metadata.version(providers[0]), folder


def _whole(target: pathlib.Path, command: list[str]) -> None:
    """Runs a compiler's command with `-o`; the file appears under its name when it is whole."""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        output = pathlib.Path(folder) / target.name
        run = subprocess.run([*command, "-o", str(output)], capture_output=True, text=True)
        if run.returncode:
            raise NotCompiledError(f"{' '.join(command)}\n{run.stderr}".rstrip())
        print(run.stderr, end="", file=sys.stderr)  # warnings
        os.replace(output, target)


if __name__ == "__main__":
    sys.exit(main())
