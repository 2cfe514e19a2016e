"""The wheel: what it holds, and that it works away from the checkout.

It is built and installed without a network: what builds it and what it needs are in the lock. The
own ops are compiled into it where the building Python has TensorFlow and there is a compiler.
"""

import ast
import configparser
import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest

PIP = (sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check")
OFFLINE = ("--no-index", "--no-deps", "--no-cache-dir")
LIBRARY = "_kernels.so"

# What kernels.why_not() says where own ops are compiled, on any CPU.
COMPILED = ("", "The CPU has no AVX-512 VNNI, for which the own ops are written.")

# The default recipe, INTEGER on digits, in its smallest form.
TEN_STEPS = (
    "--config.steps=10",
    "--config.model.args.width=2",
    "--config.data.options.size=64,64",
    "--config.data.size=64,64",
    "--config.data.batch=2",
    "--config.data.val=val[:0.02]",
    "--workdir=run",
)


needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="no g++ on PATH")


def make_folder(folder: pathlib.Path) -> pathlib.Path:
    """Makes a folder and returns it."""
    folder.mkdir()
    return folder


def run(command: list[str], folder: pathlib.Path) -> str:
    """Runs a command as a user's shell would, with no path into the checkout; returns its output.

    Bazel tells its tests where the runfiles are, and Python's children would look there.
    """
    ours = ("PYTHON", "RUNFILES", "BUILD_W", "JAVA_RUNFILES")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def copy_sources(to: pathlib.Path) -> pathlib.Path:
    """Copies what a wheel is built of, for a build leaves files beside it; no library."""
    for file in ("LICENSE", "README.md", "pyproject.toml", "setup.py"):
        shutil.copy(file, to)
    for folder in ("configs", "tfquantseg"):
        ignored = shutil.ignore_patterns("__pycache__", LIBRARY)
        shutil.copytree(folder, to / folder, ignore=ignored)
    return to


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The folder in which the wheel is built."""
    return copy_sources(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="module")
def wheel(sources: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The wheel, built by the locked Python."""
    target = tmp_path_factory.mktemp("wheel")
    run([*PIP, "wheel", *OFFLINE, "--no-build-isolation", f"--wheel-dir={target}", "."], sources)
    (built,) = target.iterdir()
    return built


def environment_with(wheel: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """Returns the programs of an environment with a wheel and, besides, the locked packages."""
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "locked.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = folder / "bin" / "python"
    run([*PIP, f"--python={python}", "install", *OFFLINE, str(wheel)], folder)
    return folder / "bin"


@pytest.fixture(scope="module")
def programs(wheel: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The folder of programs of an environment with the wheel."""
    return environment_with(wheel, tmp_path_factory.mktemp("environment"))


def commands() -> set[str]:
    """Returns the modules of tfquantseg.cli that are a command: they have a main."""
    return {
        path.stem
        for path in pathlib.Path("tfquantseg/cli").glob("*.py")
        for statement in ast.parse(path.read_text()).body
        if isinstance(statement, ast.FunctionDef) and statement.name == "main"
    }


def own_sources() -> set[str]:
    """Returns the sources of the own ops, which an installed package compiles anew."""
    files = pathlib.Path("tfquantseg/kernels").iterdir()
    return {str(path) for path in files if path.suffix in (".bzl", ".cc", ".h")}


def why_no_own_ops(programs: pathlib.Path, folder: pathlib.Path) -> str:
    """Returns what an installed package says."""
    code = "from tfquantseg import kernels; print(kernels.why_not())"
    return run([str(programs / "python"), "-c", code], folder).strip()


def test_every_module_and_every_recipe_is_inside(wheel: pathlib.Path) -> None:
    modules = {str(path) for path in pathlib.Path("tfquantseg").rglob("*.py")}
    recipes = {f"tfquantseg/{path}" for path in pathlib.Path("configs").rglob("*.py")}
    assert {"tfquantseg/__init__.py", "tfquantseg/configs/digits.py"} <= modules | recipes
    held = zipfile.ZipFile(wheel).namelist()
    files = {name for name in held if ".dist-info/" not in name} - {f"tfquantseg/kernels/{LIBRARY}"}
    assert files == modules | recipes | own_sources()


def test_every_command_has_its_console_script(wheel: pathlib.Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (file,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
    entry_points = configparser.ConfigParser()
    entry_points.read_string(archive.read(file).decode())
    assert {"audit", "evaluate", "train"} <= commands()
    assert dict(entry_points["console_scripts"]) == {
        f"tfquantseg-{name}": f"tfquantseg.cli.{name}:run" for name in commands()
    }


def test_the_metadata_name_the_extras(wheel: pathlib.Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (file,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
    metadata = archive.read(file).decode()
    assert "Requires-Python: >=3.11\n" in metadata
    for extra in ("hed", "lite0", "mediapipe", "peers"):
        assert f"Provides-Extra: {extra}\n" in metadata


def test_importing_the_installed_package_loads_nothing_else(
    programs: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    code = "import sys, tfquantseg; print(tfquantseg.__file__, *sys.modules, sep='\\n')"
    file, *loaded = run([str(programs / "python"), "-c", code], tmp_path).splitlines()
    assert pathlib.Path(file).is_relative_to(programs.parent)
    assert not {"tensorflow", "keras", "numpy", "absl"} & set(loaded)


def test_every_command_answers_help(programs: pathlib.Path, tmp_path: pathlib.Path) -> None:
    for name in sorted(commands()):
        assert "Flags:" in run([str(programs / f"tfquantseg-{name}"), "--help"], tmp_path)


@needs_compiler
def test_own_ops_are_compiled_where_tensorflow_is(
    wheel: pathlib.Path, programs: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    assert f"tfquantseg/kernels/{LIBRARY}" in zipfile.ZipFile(wheel).namelist()
    assert "linux" in wheel.name
    assert why_no_own_ops(programs, tmp_path) in COMPILED


def test_without_a_compiler_the_wheel_has_stock_ops(tmp_path: pathlib.Path) -> None:
    source = copy_sources(tmp_path)
    command = [*PIP, "wheel", "--log=log", *OFFLINE, "--no-build-isolation", "--wheel-dir=wheel"]
    run(["env", "CXX=no-such-compiler", *command, "."], source)
    said = (source / "log").read_text()
    assert "No C++ compiler: no-such-compiler is not on PATH." in said
    (built,) = (source / "wheel").iterdir()
    assert not [name for name in zipfile.ZipFile(built).namelist() if name.endswith(LIBRARY)]


@needs_compiler
@pytest.mark.usefixtures("wheel")
def test_a_wheel_built_without_tensorflow_compiles_where_it_is_installed(
    sources: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    builder = tmp_path / "builder"
    venv.create(builder, symlinks=True)
    (packages,) = builder.glob("lib/python*/site-packages")
    for pattern in ("pip*", "setuptools*", "_distutils_hack"):
        for path in pathlib.Path(sysconfig.get_path("purelib")).glob(pattern):
            (packages / path.name).symlink_to(path)
    source = copy_sources(make_folder(tmp_path / "source"))
    command = [*PIP[1:], "wheel", "--log=log", *OFFLINE, "--no-build-isolation"]
    run([str(builder / "bin" / "python"), *command, "--wheel-dir=wheel", "."], source)
    said = (source / "log").read_text()
    assert "no TensorFlow here, so the wheel is built without the own ops" in said
    (built,) = (source / "wheel").iterdir()
    assert built.name.endswith("-py3-none-any.whl")

    programs = environment_with(built, make_folder(tmp_path / "environment"))
    reason = why_no_own_ops(programs, tmp_path)
    assert "is not here; `python -m tfquantseg.kernels.compile` compiles it" in reason
    python, *arguments = reason.split("`")[1].split()
    # What was compiled for the other wheel is the same, and taken to save the time.
    (objects,) = sources.glob("build/temp.*")
    run([str(programs / python), *arguments, f"--objects={objects}"], tmp_path)
    assert why_no_own_ops(programs, tmp_path) in COMPILED


def test_ten_steps_of_the_default_recipe(programs: pathlib.Path, tmp_path: pathlib.Path) -> None:
    printed = run([str(programs / "tfquantseg-train"), *TEN_STEPS], tmp_path)
    assert "tfquantseg-audit --config=digits --config.steps=10" in printed
    with (tmp_path / "run" / "log.csv").open() as log:
        assert [row["step"] for row in csv.DictReader(log)] == [str(i) for i in range(1, 11)]
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert (scores["step"], scores["images"], scores["scales"]) == (10, 4, "running")
    assert 0 < scores["miou"] < 1
