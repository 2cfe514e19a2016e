"""The command compare, on a float network that was trained a few steps."""

import contextlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import interpreter as litert

from tests.cli import short_run
from tfquantseg import metrics
from tfquantseg.cli import compare
from tfquantseg.data import load

# What TensorFlow's converter says when it is asked for int8 at both ends.
pytestmark = pytest.mark.filterwarnings("ignore:Statistics for quantized inputs:UserWarning")

UNTRAINED = ("--rounds=1", "--images=2", "--calibration=2", "--threads=1")
QUICK = ("--steps=2", *UNTRAINED)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work directory of a run of two steps in float32."""
    return short_run.trained_in(tmp_path_factory.mktemp("trained") / "float", "FLOAT")


@pytest.fixture(scope="module")
def integer(trained: Path) -> Path:
    """That of a run of two steps in INTEGER."""
    return short_run.trained_in(trained.parent / "integer", "INTEGER")


@pytest.fixture(scope="module")
def compared(trained: Path) -> tuple[Path, str]:
    """The folder of a comparison without tfmot, and what was printed."""
    out, printed = trained.parent / "compared", io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert compare.main(["compare", f"--workdir={trained}", f"--out={out}", *QUICK]) == 0
    return out, printed.getvalue()


def by_hand(file: Path) -> float:
    """The mIoU of a file on the four images of val[:0.02], by LiteRT and nothing of ours."""
    runner = litert.Interpreter(str(file))
    runner.allocate_tensors()
    (entry,), (out,) = runner.get_input_details(), runner.get_output_details()
    data = load("digits", "val[:0.02]", size=(64, 64))
    counts = []
    for index in range(len(data)):
        image, label = data.read(index)
        values = image.astype(np.float32) / 128 - 1
        if entry["dtype"] == np.int8:
            step, zero = entry["quantization"]
            values = np.clip(np.round(values / step) + zero, -128, 127).astype(np.int8)
        runner.set_tensor(entry["index"], values[np.newaxis])
        runner.invoke()
        guess = runner.get_tensor(out["index"]).argmax(-1)
        counts.append(metrics.confusion_matrices(label[np.newaxis].astype(int), guess, 11, 255))
    return metrics.scores(np.concatenate(counts)).miou


def test_every_file_has_its_row(compared: tuple[Path, str]) -> None:
    out, printed = compared
    found = json.loads((out / "comparison.json").read_text())
    rows = {row["variant"]: row for row in found["rows"]}
    assert list(rows) == ["float32", "float32_on", "stock_ptq", "ours"]
    for name, row in rows.items():
        # The same sums in the same kernels.
        assert row["miou"] == pytest.approx(by_hand(out / f"{name}.tflite"), abs=1e-12), name
        assert row["file_bytes"] == (out / f"{name}.tflite").stat().st_size
        assert row["latency_seconds"] > 0
    assert [row["steps"] for row in rows.values()] == [0, 2, 0, 2]
    assert rows["float32"]["against_float32"]["estimate"] == 0
    ours = rows["ours"]["certificate"]
    assert ours["ok"] and ours["weights_equal"] and ours["twin_equal"] and ours["micro_equal"]
    assert rows["stock_ptq"]["certificate"] is None
    assert (found["step"], found["split_images"], found["size"]) == (2, 4, [64, 64])
    # Only what was made is named.
    assert (
        "float32, trained on: 2 steps more; ours: INTEGER E_scale=per_vector norm=l2, 2 steps "
        "more. The learning rate of steps more is " in printed
    )
    assert "tfmot QAT:" not in printed
    assert "TensorSpec" not in printed  # Keras's, of every variable of a model that it exports
    assert "Left out, for they need the interpreter of peers.lock: tfmot_qat." in printed
    page = (out / "comparison.md").read_text()
    assert "every weight equal, 0 steps apart" in page and "tfmot_qat" in page
    assert {"panels.png", "panels.csv"} < {path.name for path in out.iterdir()}
    head, first = (out / "panels.csv").read_text().splitlines()[:2]
    assert head == "example,run,miou,boundary_miou" and ",float32," in first
    assert printed.endswith(f"tfquantseg-sensitivity --workdir={compared[0].parent / 'float'}\n")


def test_the_same_again_keeps_files_and_other_settings_are_refused(
    trained: Path, compared: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = compared[0]
    (out / "stock_ptq.tflite").unlink()
    argv = ["compare", f"--workdir={trained}", f"--out={out}", *QUICK]
    assert compare.main([*argv, "--variants=stock_ptq,float32_on"]) == 0
    printed = capsys.readouterr().out
    assert f"Kept    {out}/float32_on.tflite of an earlier call" in printed
    assert "Making  int8, stock post-training" in printed
    assert compare.main([*argv, "--steps=3"]) == 2
    told = capsys.readouterr()
    assert "float32_on.tflite was made with other settings: steps is 2 there and 3" in told.err
    assert "Making" not in told.out


def test_ours_may_be_what_another_run_trained(
    trained: Path, integer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["compare", f"--workdir={trained}", f"--out={tmp_path}", *UNTRAINED, "--variants=ours"]
    assert compare.main([*argv, f"--integer={integer}"]) == 0
    rows = json.loads((tmp_path / "comparison.json").read_text())["rows"]
    assert rows[1]["certificate"]["ok"]
    printed = capsys.readouterr().out
    assert f"ours: the checkpoint of {integer}, trained for 2 steps" in printed
    assert "steps more" not in printed and "Calibration" not in printed

    assert compare.main([*argv, f"--integer={trained}"]) == 2
    assert "was trained with FLOAT, in float32; leave out" in capsys.readouterr().err
    assert compare.main([*argv, f"--integer={integer}", "--policy=INTEGER"]) == 2
    assert "--policy is for what is fine-tuned here" in capsys.readouterr().err


def test_a_run_in_integers_is_no_float_network(
    integer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare.main(["compare", f"--workdir={integer}"]) == 2
    assert "Give as --workdir a training with --config.policy=FLOAT" in capsys.readouterr().err
    assert not (integer / "compare").exists()


def test_weights_that_are_no_numbers_are_named(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = short_run.without_numbers(trained, tmp_path / "run")
    assert compare.main(["compare", f"--workdir={run}"]) == 2
    assert "values of stem/kernel are not finite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--variants=our"], "Did you mean 'ours'?"),
        (["--rate=0"], "--rate is 0; give a number above 0, or leave it out"),
        (["--rate=nan"], "Flag --rate is nan; give it a number"),
        (["--policy=FLOAT"], "which quantizes nothing; give one such as INTEGER"),
        (
            ["--policy=INTEGER k_W=16"],
            "'stem': weights of 16 bits; files hold 8. Give another --policy",
        ),
        (["--policy=INTEGR"], "no preset is called 'INTEGR'"),
        (["--peers_python=/no/such"], "which can't be run"),
        (["--size=65,64"], "sides that are multiples of 8"),
        (["--integer=/no/such"], "/no/such is not a work directory"),
        (["--integer=/no/such", "--variants=stock_ptq"], "--integer is ours, which --variants le"),
        (["--variants=stock_ptq", "--rate=0.1"], "--rate is for what trains on, and of stock_ptq"),
        (
            ["--integer=/no/such", "--variants=ours", "--steps=9"],
            "--steps is for what trains on, and of ours nothing does; leave it out",
        ),
        (["--out=configs/digits.py"], "File exists: configs/digits.py"),
    ],
)
def test_bad_flags(
    trained: Path, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare.main(["compare", f"--workdir={trained}", *flags]) == 2
    assert message in capsys.readouterr().err


def test_a_run_without_a_checkpoint(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").mkdir()
    assert compare.main(["compare", f"--workdir={run}"]) == 2
    assert "holds no checkpoint yet" in capsys.readouterr().err
