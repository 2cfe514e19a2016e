"""The wheel: what it holds, and that it works away from the checkout.

It is built and installed without a network: what builds it and what it needs are in the lock.
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


def run(command: list[str], folder: pathlib.Path) -> str:
    """Runs a command as a user's shell would, with no path into the checkout; returns its output.

    Bazel tells its tests where the runfiles are, and Python's children would look there.
    """
    ours = ("PYTHON", "RUNFILES", "BUILD_W", "JAVA_RUNFILES")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The wheel, built of a copy of the sources: a build leaves files beside them."""
    source = tmp_path_factory.mktemp("sources")
    for file in ("LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(file, source)
    for folder in ("configs", "tfquantseg"):
        shutil.copytree(folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path_factory.mktemp("wheel")
    run([*PIP, "wheel", *OFFLINE, "--no-build-isolation", f"--wheel-dir={target}", "."], source)
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def programs(wheel: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The folder of programs of an environment with the wheel and, besides, the locked packages."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, symlinks=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "locked.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = environment / "bin" / "python"
    run([*PIP, f"--python={python}", "install", *OFFLINE, str(wheel)], environment)
    return environment / "bin"


def commands() -> set[str]:
    """Returns the modules of tfquantseg.cli that are a command: they have a main."""
    return {
        path.stem
        for path in pathlib.Path("tfquantseg/cli").glob("*.py")
        for statement in ast.parse(path.read_text()).body
        if isinstance(statement, ast.FunctionDef) and statement.name == "main"
    }


def test_every_module_and_every_recipe_is_inside(wheel: pathlib.Path) -> None:
    modules = {str(path) for path in pathlib.Path("tfquantseg").rglob("*.py")}
    recipes = {f"tfquantseg/{path}" for path in pathlib.Path("configs").glob("*.py")}
    assert {"tfquantseg/__init__.py", "tfquantseg/configs/digits.py"} <= modules | recipes
    held = zipfile.ZipFile(wheel).namelist()
    assert {name for name in held if ".dist-info/" not in name} == modules | recipes


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
    for extra in ("hed", "mediapipe", "peers"):
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


def test_ten_steps_of_the_default_recipe(programs: pathlib.Path, tmp_path: pathlib.Path) -> None:
    printed = run([str(programs / "tfquantseg-train"), *TEN_STEPS], tmp_path)
    assert "tfquantseg-audit --config=digits --config.steps=10" in printed
    with (tmp_path / "run" / "log.csv").open() as log:
        assert [row["step"] for row in csv.DictReader(log)] == [str(i) for i in range(1, 11)]
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert (scores["step"], scores["images"], scores["scales"]) == (10, 4, "running")
    assert 0 < scores["miou"] < 1
