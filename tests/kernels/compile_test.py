"""What compile.py compiles, with what, and what it says where it cannot."""

import ctypes
import pathlib
import runpy
import shutil
import subprocess
import sys

import pytest
import tensorflow as tf

from tfquantseg.kernels import compile as compiling

needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="no g++ on PATH")


@pytest.fixture
def sources(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A folder of kernels with those files that include nothing of TensorFlow: quick to compile."""
    folder = tmp_path / "tfquantseg" / "kernels"
    folder.mkdir(parents=True)
    for name in ("flags.bzl", "built_for.cc", "cpu.cc", "cpu.h"):
        shutil.copy(compiling.FOLDER / name, folder)
    monkeypatch.setattr(compiling, "FOLDER", folder)
    return folder


def test_the_flags_are_those_that_tensorflow_asks_for() -> None:
    flags = runpy.run_path(str(compiling.FOLDER / "flags.bzl"))
    asked = tf.sysconfig.get_compile_flags()
    folder = f"-I{tf.sysconfig.get_include()}"
    assert {folder, "--std=c++17", *flags["TENSORFLOW_COPTS"]} == set(asked)
    assert "-std=c++17" in flags["COPTS"]
    libraries = f"-L{tf.sysconfig.get_lib()}"
    assert {libraries, *flags["TENSORFLOW_LINKOPTS"]} == set(tf.sysconfig.get_link_flags())


@needs_compiler
def test_only_what_changed_is_compiled_again(sources: pathlib.Path, tmp_path: pathlib.Path) -> None:
    target, objects = tmp_path / "library.so", tmp_path / "objects"

    def made() -> list[str]:
        before = set(objects.glob("*.o"))
        compiling.compile_library(target, objects)
        return sorted(path.name.split("-")[0] for path in set(objects.glob("*.o")) - before)

    assert made() == ["built_for", "cpu"]
    assert made() == []
    source = sources / "cpu.cc"
    source.write_text(source.read_text() + "// Changed.\n")
    assert made() == ["cpu"]
    header = sources / "cpu.h"
    header.write_text(header.read_text() + "// Changed.\n")
    assert made() == ["built_for", "cpu"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "library.so",
        "objects",
        "tfquantseg",
    ]


@needs_compiler
def test_a_loaded_library_stays_as_it_was(sources: pathlib.Path, tmp_path: pathlib.Path) -> None:
    target, objects = tmp_path / "library.so", tmp_path / "objects"
    (sources / "answer.cc").write_text(
        'extern "C" __attribute__((visibility("default"))) int first() { return 1; }\n'
    )
    compiling.compile_library(target, objects)
    loaded = ctypes.CDLL(str(target))
    (sources / "answer.cc").write_text("int other = 2;\n")
    compiling.compile_library(target, objects)
    assert loaded.first() == 1
    assert b"first" not in target.read_bytes()


@needs_compiler
def test_what_the_compiler_refused_is_told_and_nothing_is_written(
    sources: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (sources / "wrong.cc").write_text("int f() { return nothing; }\n")
    with pytest.raises(compiling.NotCompiledError, match=r"wrong.cc:1:18: error: .*nothing"):
        compiling.compile_library(tmp_path / "library.so", tmp_path / "objects")
    assert not (tmp_path / "library.so").exists()
    assert not list((tmp_path / "objects").glob("wrong*"))


@needs_compiler
def test_warnings_are_shown(
    sources: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sources / "careless.cc").write_text("static void never_called() {}\n")
    compiling.compile_library(tmp_path / "library.so", tmp_path / "objects")
    assert "never_called" in capsys.readouterr().err


def test_without_a_compiler_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr(sys, "argv", ["compile.py"])
    assert compiling.main() == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("No C++ compiler: no-such-compiler is not on PATH. Install one")


def test_without_tensorflow_there_is_one_sentence(tmp_path: pathlib.Path) -> None:
    # -S: an interpreter without its packages.
    command = [sys.executable, "-S", str(compiling.FOLDER / "compile.py")]
    environment = {"PATH": "/bin:/usr/bin", "CXX": "sh"}  # any program that is there
    run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (2, "")
    assert "has no TensorFlow to compile for: use the Python that has it." in run.stderr
