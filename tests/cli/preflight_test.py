"""The command preflight: of a recipe, of a file, and what it refuses."""

import json
import os
import shlex
from pathlib import Path

import keras
import pytest

from tests.export import every_operation, files
from tfquantseg import preset, quantize
from tfquantseg.cli import preflight
from tfquantseg.export import draft, freeze, write_tflite

SMALL = (
    "--config=digits",
    "--config.model.args.width=2",
    "--config.data.options.size=64,64",
    "--config.data.size=64,64",
    "--config.data.val=val[:0.02]",
)


def _error(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert preflight.main(["preflight", *argv]) == 2
    return capsys.readouterr().err


def test_of_a_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = tmp_path / "report.json"
    assert preflight.main(["preflight", *SMALL, f"--json={to}"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("# Edge TPU preflight: digits, not trained yet, 64 x 64\n")
    assert "**21 of 21 operators on the TPU.**" in shown
    assert "| TRANSPOSE_CONV | 2 | 1 | TPU |" in shown
    assert shown.splitlines()[-1].startswith("  tfquantseg-train --config=digits --config.model")
    report = json.loads(to.read_text())
    assert report["ok"] and len(report["operators"]) == 21
    assert report["min_runtime_version"] == "2.2.0"
    assert [tensor["shape"] for tensor in report["tpu_inputs"]] == [[1, 64, 64, 3]]


def test_of_a_recipe_at_another_size_and_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "report.json"
    asked = ["--size=72,80", "--logits=argmax", f"--json={to}"]
    assert preflight.main(["preflight", *SMALL, *asked]) == 0
    report = json.loads(to.read_text())
    assert report["operators"][-1]["op"] == "ARG_MAX"
    assert (report["ok"], report["operators_on_cpu"]) == (False, 1)
    assert report["operators"][-1]["outputs"][0]["shape"] == [1, 72, 80]
    assert "| cut at | 21 ARG_MAX |" in capsys.readouterr().out


def test_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, programs = tmp_path / "mine.tflite", tmp_path / "programs"
    file.write_bytes(write_tflite(freeze(every_operation.trained(), *every_operation.SIZE)))
    programs.mkdir()
    compiler = programs / "edgetpu_compiler"
    compiler.write_text(
        "#!/bin/sh\necho 'Edge TPU Compiler version 16.0.1'\necho 'Model compiled successfully'\n"
        "echo 'Operator                       Count      Status'\n"
        "echo 'CONV_2D                        1          Mapped to Edge TPU'\n"
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    to = tmp_path / "report.json"
    assert preflight.main(["preflight", f"--model={file}", f"--json={to}"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("# Edge TPU preflight: mine.tflite\n")
    # A transposed convolution with a bias, and the crop behind it.
    assert "**18 of 20 operators on the TPU.**" in shown
    assert "train the transposed convolution with use_bias=False" in shown
    assert "## What edgetpu_compiler 16.0.1 said" in shown
    report = json.loads(to.read_text())
    assert report["cuts"] == [18]
    assert report["compiler"]["mapped"] == 1


@pytest.mark.parametrize(("of_a_run", "workdir"), [(True, "my run"), (False, "RUN")])
def test_the_remedy_of_a_last_resize_in_doubt_stands_before_the_compiler(
    of_a_run: bool,
    workdir: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 128, offset=-1)(image)
    x = keras.layers.UpSampling2D(4, interpolation="bilinear")(keras.layers.Conv2D(2, 1)(x))
    file = tmp_path / "my run" / "export" / "model_int8.tflite"
    file.parent.mkdir(parents=True)
    file.write_bytes(
        write_tflite(draft(quantize(keras.Model(image, x), preset("INTEGER")), 16, 16))
    )
    if of_a_run:
        (tmp_path / "my run" / "checkpoints").mkdir()
    monkeypatch.chdir(tmp_path)
    assert preflight.main(["preflight", f"--model={file.relative_to(tmp_path)}"]) == 0
    shown = capsys.readouterr().out
    assert "**1 of 2 operators on the TPU for certain, 1 in doubt (the last resize).**" in shown
    assert shown.splitlines()[-4:] == [
        "Next:",
        f"  tfquantseg-convert {shlex.quote(f'--workdir={workdir}')} --logits=stride",
        "  (which leaves the last resize to the host)",
        "  edgetpu_compiler -s 'my run/export/model_int8.tflite'",
    ]


def test_a_file_that_is_cut_short_or_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.tflite"
    file.write_bytes(files.segmenter()[:400])
    assert "a.tflite (400 bytes) is not a whole .tflite file" in _error(capsys, f"--model={file}")
    file.write_bytes(b"PK" * 99)
    assert "a.tflite is no .tflite file" in _error(capsys, f"--model={file}")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--model=none.tflite"], "/none.tflite; give a .tflite file, or a recipe as"),
        (["--model=a.tflite", "--config=digits"], "Give either --config or --model; received both"),
        (["--model=a.tflite", "--config.seed=1"], "Give either --config or --model"),
        (["--model=a.tflite", "--size=64,64"], "--size is for --config; a file has what it has"),
        (["--model=a.tflite", "--logits=stride"], "--logits is for --config"),
        (["--json=/none/a.json"], "There is no such folder to write to: /none"),
        ([*SMALL, "--config.policy=FLOAT"], "computes in float32: there are no integers"),
        ([*SMALL, "--size=100,150"], "sides that are multiples of 8. Give --size=104,152."),
        ([*SMALL, "--logits=stride"], "ends in Convolution, not in a resize"),
        (["--seed=1"], "There is no flag --seed; a value of the recipe is changed by its whole"),
    ],
)
def test_refused(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in _error(capsys, *argv)
