"""The command convert, on a network that was trained a few steps."""

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import io
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.cli.short_run import TINY
from tfquantseg import export
from tfquantseg.cli import convert, evaluate, predict, train
from tfquantseg.export import FileNetwork, Network, write_tflite
from tfquantseg.export.graph_file import model_of
from tfquantseg.export.tflite import Border


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work directory of a run of two steps in INTEGER."""
    path = tmp_path_factory.mktemp("trained") / "run"
    assert train.main(["train", *TINY, f"--workdir={path}"]) == 0
    return path


@pytest.fixture(scope="module")
def converted(trained: Path) -> tuple[Path, str]:
    """The folder of its files, and what convert printed."""
    out, printed = trained.parent / "shipped", io.StringIO()
    with contextlib.redirect_stdout(printed):
        argv = ["convert", f"--workdir={trained}", f"--out={out}", "--images=2"]
        assert convert.main(argv) == 0
    return out, printed.getvalue()


def test_files_and_certificate(converted: tuple[Path, str]) -> None:
    out, printed = converted
    assert "Every promise is kept." in printed
    assert "of an earlier conversion" not in printed
    assert "This run has saved" not in printed
    assert "Weights: the integers of training after step 2 of 2." in printed
    assert f"Int8         {out}/model_int8.tflite (" in printed
    found = json.loads((out / "certificate.json").read_text())
    assert found["ok"] and found["weights_equal"] and found["twin_equal"] and found["micro_equal"]
    assert found["max_step_difference"] <= 1
    content = (out / "model_int8.tflite").read_bytes()
    assert found["sha256"] == hashlib.sha256(content).hexdigest()
    assert (found["size"], found["images"], found["split_images"]) == ([64, 64], 2, 4)
    # Four images of noise to a network of two steps; its scores are low, but file and model agree.
    assert abs(found["miou_graph"] - found["miou_tflite"]) < 0.02
    for file in ("miou_twin", "miou_tflite"):
        difference = found[file] - found["miou_graph"]
        assert found[f"{file}_difference"]["estimate"] == pytest.approx(difference)
    # Steps and weights are those of training: the frozen model is the trained one.
    assert found["miou_running"] == found["miou_graph"]
    assert 0 <= found["miou_dynamic"] <= 1
    assert (found["weights_of"], found["activation_steps"]["method"]) == ("training", "running")
    integers, of_bytes = (FileNetwork(out / f"model_{kind}.tflite") for kind in ("int8", "uint8"))
    image = np.full((64, 64, 3), 77, np.uint8)
    np.testing.assert_array_equal(integers(image), of_bytes(image))
    assert (out / "certificate.md").read_text().startswith("# Certificate of model_int8.tflite")
    assert (out / "certificate.png").stat().st_size > 0
    assert "model_int8.tflite --images=PHOTOS --out=predictions\n" in printed
    assert f"Edge TPU     {out}/edgetpu.md, .json: 21 of 21 operators on the TPU\n" in printed
    assert json.loads((out / "edgetpu.json").read_text())["ok"]
    with zipfile.ZipFile(out / "model_uint8.tflite") as labels:
        assert labels.read("labels.txt").decode().splitlines()[1] == "0"


def test_a_file_is_evaluated_and_predicts(
    trained: Path,
    converted: tuple[Path, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, scores = converted[0], tmp_path / "scores.json"
    file = f"--model={out}/model_int8.tflite"
    assert evaluate.main(["evaluate", f"--workdir={trained}", file, f"--json={scores}"]) == 0
    found = json.loads(scores.read_text())
    certified = json.loads((out / "certificate.json").read_text())
    assert found["miou"] == certified["miou_tflite"]
    assert (found["step"], found["images"]) == (2, 4)

    photo = tmp_path / "photo.png"
    Image.fromarray(np.full((40, 50, 3), 9, np.uint8)).save(photo)
    shown = tmp_path / "shown"
    assert predict.main(["predict", file, f"--images={photo}", f"--out={shown}"]) == 0
    written = json.loads((shown / "predictions.json").read_text())
    assert written["classes"][0] == "background"
    assert (written["images"][0]["height"], written["images"][0]["width"]) == (40, 50)

    capsys.readouterr()
    Image.fromarray(np.zeros((65, 50, 3), np.uint8)).save(photo)
    argv = ["predict", file, f"--images={photo}", f"--out={tmp_path / 'large'}"]
    assert predict.main(argv) == 2
    assert "65 x 50 pixels are more than the file's 64 x 64" in capsys.readouterr().err


def test_steps_of_calibration_and_fine_tuning_at_them(
    trained: Path,
    converted: tuple[Path, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv = ["convert", f"--workdir={trained}", f"--out={tmp_path}", "--images=1"]
    asked = ["--steps=percentile", "--calibration=3", "--finetune=1"]
    assert convert.main([*argv, *asked]) == 0
    found = json.loads((tmp_path / "certificate.json").read_text())
    assert found["ok"] and found["weights_equal"] and found["weights_of"] == "fine-tuning"
    assert found["activation_steps"] == {
        "method": "percentile",
        "split": "digits train[:0.01]",
        "images": 3,
        "percentile": 99.99,
        "fine_tuning_steps": 1,
    }
    assert "not those of the checkpoint" in capsys.readouterr().out

    def steps_and_weights(folder: Path) -> tuple[list[Any], list[bytes]]:
        model = model_of((folder / "model_int8.tflite").read_bytes(), name="a")
        tensors = [t for t in model.subgraphs[0].tensors if t.quantization is not None]
        weights = [t for t in tensors if t.name.endswith(b"/weights")]
        steps = [float(t.quantization.scale[0]) for t in tensors if b"/" not in t.name]
        return steps, [bytes(model.buffers[t.buffer].data) for t in weights]

    (steps, weights), (others, kept) = map(steps_and_weights, (tmp_path, converted[0]))
    assert steps[0] == others[0] == 2**-7  # the image's
    assert all(one != other for one, other in zip(steps[1:], others[1:], strict=True))
    assert weights != kept


def test_classes_in_place_of_logits(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["convert", f"--workdir={trained}", f"--out={tmp_path}", "--images=1"]
    for name in ("model_int8.tflite", "model_uint8.tflite"):
        (tmp_path / name).write_text("of an earlier conversion")
    assert convert.main([*argv, "--logits=argmax"]) == 0
    printed = capsys.readouterr().out
    assert "Uint8        none: MediaPipe takes the largest logit itself" in printed
    assert "Replaced     model_int8.tflite of an earlier conversion\n" in printed
    assert "Removed      model_uint8.tflite of an earlier conversion\n" in printed
    assert not (tmp_path / "model_uint8.tflite").exists()
    found = json.loads((tmp_path / "certificate.json").read_text())
    assert found["ok"] and found["twin_equal"] and found["output"] == "argmax"
    assert json.loads((tmp_path / "edgetpu.json").read_text())["operators_on_cpu"] == 1

    file, scores = f"--model={tmp_path}/model_int8.tflite", tmp_path / "scores.json"
    assert evaluate.main(["evaluate", f"--workdir={trained}", file, f"--json={scores}"]) == 0
    evaluated = json.loads(scores.read_text())
    assert (evaluated["miou"], evaluated["scales"]) == (found["miou_tflite"], "frozen")
    photo, shown = tmp_path / "photo.png", tmp_path / "shown"
    Image.fromarray(np.full((40, 50, 3), 9, np.uint8)).save(photo)
    assert predict.main(["predict", file, f"--images={photo}", f"--out={shown}"]) == 0
    assert json.loads((shown / "predictions.json").read_text())["scales"] == "frozen"


def test_a_full_disk_leaves_no_half_file_and_no_older_model(
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "model_int8.tflite").write_text("of an earlier conversion")
    replace = os.replace

    def full(source: Path, target: Path) -> None:
        if target.name == "model_int8.tflite":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    argv = ["convert", f"--workdir={trained}", f"--out={tmp_path}", "--images=1"]
    assert convert.main(argv) == 2
    shown = capsys.readouterr().err
    assert f"Error: No space left on device: {tmp_path}/model_int8.tflite." in shown
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"certificate.md", "certificate.png", "certificate.json"}


def test_a_broken_promise_leaves_no_model(
    trained: Path,
    converted: tuple[Path, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(converted[0], tmp_path, dirs_exist_ok=True)
    argv = ["convert", f"--workdir={trained}", f"--out={tmp_path}", "--images=1"]

    def forged(network: Network, border: Border = "int8", about: Any = None) -> bytes:
        (first, *others) = network.operations
        wrong = dataclasses.replace(first, weights=-first.weights)
        return write_tflite(
            dataclasses.replace(network, operations=(wrong, *others)), border, about
        )

    monkeypatch.setattr(export, "write_tflite", forged)
    assert convert.main(argv) == convert.BROKEN_PROMISE
    printed = capsys.readouterr().out
    assert "Promises are broken:" in printed
    assert "Removed      model_int8.tflite, model_uint8.tflite, edgetpu.md, edgetpu.json" in printed
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"certificate.md", "certificate.png", "certificate.json"}
    assert not json.loads((tmp_path / "certificate.json").read_text())["weights_equal"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--delegate=libedgetpu.so.1"], "--delegate runs a .tflite file; give one as --model"),
        (["--model=a.keras"], "accepted is a .tflite file"),
        (["--model=none.tflite"], "/none.tflite; give a .tflite file that the command convert"),
        (["--model=a.tflite", "--scales=dynamic"], "--scales chooses of a --workdir"),
    ],
)
def test_evaluate_refuses(
    trained: Path, argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main(["evaluate", f"--workdir={trained}", *argv]) == 2
    assert message in capsys.readouterr().err


def test_a_damaged_file_and_a_missing_delegate_are_named(
    trained: Path,
    converted: tuple[Path, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, content = tmp_path / "cut.tflite", (converted[0] / "model_int8.tflite").read_bytes()
    file.write_bytes(content[: len(content) // 2])
    photo = tmp_path / "photo.png"
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(photo)
    predicts = [f"--images={photo}", f"--out={tmp_path / 'shown'}"]
    for command, argv in (
        (evaluate, [f"--workdir={trained}"]),
        (predict, predicts),
    ):
        assert command.main(["it", *argv, f"--model={file}"]) == 2
        assert f"{file} can't be run: " in capsys.readouterr().err
        whole = [f"--model={converted[0]}/model_int8.tflite", "--delegate=libnone.so.1"]
        assert command.main(["it", *argv, *whole]) == 2
        assert "Error: The delegate 'libnone.so.1' can't be loaded" in capsys.readouterr().err
    names = tmp_path / "classes.txt"
    names.write_text("".join(f"class{i}\n" for i in range(12)))
    argv = [*predicts, f"--model={converted[0]}/model_int8.tflite", f"--classes={names}"]
    assert predict.main(["predict", *argv]) == 2
    assert "names 12 classes, and" in capsys.readouterr().err
    assert not (tmp_path / "shown").exists()


def test_what_cannot_be_written_is_met_before_the_work(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "edgetpu.md").mkdir()
    assert convert.main(["convert", f"--workdir={trained}", f"--out={tmp_path}"]) == 2
    shown = capsys.readouterr().err
    assert shown.endswith(f"Error: Is a directory: {tmp_path}/edgetpu.md.\n")
    assert "images scored" not in shown
    assert [path.name for path in tmp_path.iterdir()] == ["edgetpu.md"]


def test_an_unfinished_run_into_the_default_folder_at_another_size(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    for file in (run / "config.json", run / "checkpoints" / "step_00000002" / "checkpoint.json"):
        about = json.loads(file.read_text())
        about.get("config", about)["steps"] = 3
        file.write_text(json.dumps(about))
    with (run / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert convert.main(["convert", f"--workdir={run}", "--size=72,80", "--images=1"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(
        f"This run has saved step 2 of 3 (and process {os.getpid()} trains there now): the file "
        "will hold step 2.\n"
    )
    assert "Weights: the integers of training after step 2 of 3." in shown
    certified = json.loads((run / "export" / "certificate.json").read_text())
    assert (certified["step"], certified["training_steps"]) == (2, 3)
    assert FileNetwork(run / "export" / "model_int8.tflite").size == (72, 80)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--size=64"], "--size is '64'; accepted are height and width"),
        (["--size=64,65"], "sides that are multiples of 8. Give --size=64,72."),
        (["--size=32,32"], "64 x 64 pixels are more than 32 x 32"),
        (["--out=/proc/none"], "/proc/none"),
        (["--out=configs/digits.py"], "File exists: configs/digits.py"),
        (["--calibration=3"], "--calibration is for --steps=max and --steps=percentile"),
        (["--steps=mean"], "value should be one of <running|max|percentile>"),
        (["--logits=stride"], "ends in"),
    ],
)
def test_bad_flags(
    trained: Path, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert.main(["convert", f"--workdir={trained}", "--images=1", *flags]) == 2
    assert message in capsys.readouterr().err


def test_a_float_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "float"
    assert train.main(["train", *TINY, "--config.policy=FLOAT", f"--workdir={path}"]) == 0
    assert convert.main(["convert", f"--workdir={path}"]) == 2
    assert "computes in float32: there are no integers to write" in capsys.readouterr().err
    assert not (path / "export").exists()
