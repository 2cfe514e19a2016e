"""The real compiler's verdict, with a program in its place."""

import json
import pathlib

import pytest

from tfquantseg.export import Verdict, compiler_verdict

SUCCESS = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 96 ms.

Input model: made.tflite
Number of Edge TPU subgraphs: 1
Total number of operations: 41

Operator                       Count      Status

CONV_2D                        36         Mapped to Edge TPU
CONV_2D                        2          More than one subgraph is not supported
RESIZE_BILINEAR                3          Operation is otherwise supported, but not mapped
Compilation child process completed within timeout period.
Compilation succeeded!
"""
FAILURE = """\
Edge TPU Compiler version 16.0.384591198
ERROR: Didn't find op for builtin opcode 'TRANSPOSE_CONV' version '4'.
Invalid model: made.tflite
"""


def _install(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, text: str, status: int
) -> pathlib.Path:
    """Puts a compiler on PATH that prints `text`, and returns where it writes its arguments."""
    said, arguments = folder / "said", folder / "arguments"
    said.write_text(text)
    program = folder / "edgetpu_compiler"
    program.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >"{arguments}"\n/bin/cat "{said}"\nexit {status}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return arguments


def test_a_table_is_read(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = _install(tmp_path, monkeypatch, SUCCESS, 0)
    verdict = compiler_verdict("made.tflite")
    show, option, folder, path = arguments.read_text().splitlines()
    assert (show, option, path) == ("-s", "-o", "made.tflite")
    assert not pathlib.Path(folder).exists()
    assert verdict == Verdict(
        compiled=True,
        version="16.0.384591198",
        rows=(
            ("CONV_2D", 36, "Mapped to Edge TPU"),
            ("CONV_2D", 2, "More than one subgraph is not supported"),
            ("RESIZE_BILINEAR", 3, "Operation is otherwise supported, but not mapped"),
        ),
        text=SUCCESS,
    )
    assert (verdict.mapped, verdict.total) == (36, 41)
    assert "**36 of 41 operators on the TPU.**" in str(verdict)
    assert "| CONV_2D | 2 | More than one subgraph is not supported |" in str(verdict)
    told = json.loads(json.dumps(verdict.as_json()))
    assert (told["mapped"], told["total"], told["rows"][0]["count"]) == (36, 41, 36)


@pytest.mark.parametrize(("text", "status"), [(FAILURE, 1), (SUCCESS, 1), ("", 0)])
def test_a_refusal_is_a_verdict(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, text: str, status: int
) -> None:
    _install(tmp_path, monkeypatch, text, status)
    verdict = compiler_verdict(tmp_path / "made.tflite")
    assert not verdict.compiled
    assert "It made no file:" in str(verdict)
    assert text.strip() in str(verdict)


def test_no_compiler_no_verdict(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compiler_verdict("made.tflite") is None
