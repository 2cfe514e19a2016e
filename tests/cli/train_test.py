"""The commands train, evaluate and predict, one after the other, as a user types them."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.own_folder import LABELS, make
from tfquantseg.cli import evaluate, predict, train

TINY = (
    "--config=digits",
    "--config.policy=FLOAT",
    "--config.model.args.width=2",
    "--config.data.options.size=64,64",
    "--config.data.size=64,64",
    "--config.data.train=train[:0.01]",
    "--config.data.val=val[:0.04]",
    "--config.data.batch=2",
    "--config.steps=3",
)
INTEGER = tuple("--config.policy=INTEGER" if "policy" in flag else flag for flag in TINY)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BUILD_WORKING_DIRECTORY", raising=False)
    return tmp_path


def test_train_then_evaluate(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["train", *TINY]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith(f"Training in {here}/tfquantseg-runs/digits\n")
    before, first = printed.err.split("Building the graph; the first step takes about a minute.\n")
    assert "step 1/3" not in before and "step 1/3" in first
    assert "step 3/3  loss " in printed.err
    assert "digits val[:0.04], 8 images, after step 3\n" in printed.out
    assert "activation scales" not in printed.out + printed.err  # float32 has none
    assert "Checkpoints  tfquantseg-runs/digits/checkpoints" in printed.out
    analyze, compare, integer = printed.out.splitlines()[-3:]
    assert analyze == "  tfquantseg-analyze --workdir=tfquantseg-runs/digits"
    assert "  tfquantseg-compare --workdir=tfquantseg-runs/digits  #" in compare
    typed = shlex.split(integer, comments=True)
    assert {*typed} == {
        "tfquantseg-train",
        *(flag for flag in TINY if "policy" not in flag and "size" not in flag),
        "--config.policy=INTEGER E_scale=per_vector",
        "--config.data.options.size=(64, 64)",
        "--config.data.size=(64, 64)",
        "--workdir=tfquantseg-runs/digits-integer",
    }

    shown = next(line for line in printed.out.splitlines() if "predict" in line)
    assert predict.main(shlex.split(shown)) == 0
    assert "digits-predictions/contact_sheet.png (8 images)" in capsys.readouterr().out

    argv = ["evaluate", "--workdir=tfquantseg-runs/digits", "--scales=dynamic"]
    assert evaluate.main([*argv, "--json=scores.json"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == "  tfquantseg-compare --workdir=tfquantseg-runs/digits"
    scores = json.loads((here / "scores.json").read_text())
    trained = json.loads((here / "tfquantseg-runs" / "digits" / "scores.json").read_text())
    assert scores == trained
    assert set(scores) == {
        "data", "split", "images", "classes", "step", "scales",
        "miou", "miou_per_image", "pixel_accuracy", "miou_interval", "per_class_iou",
    }  # fmt: skip
    assert len(scores["per_class_iou"]) == 11
    assert f"mIoU per image  {scores['miou_per_image']:6.2%}" in printed.out
    assert "JSON   scores.json" in printed.out

    argv = ["evaluate", "--workdir=tfquantseg-runs/digits", "--json=pair.json"]
    assert evaluate.main([*argv, "--baseline=tfquantseg-runs/digits"]) == 0
    # A run does not differ from itself on any choice of images.
    assert "mIoU against the baseline  +0.00 points" in capsys.readouterr().out
    pair = json.loads((here / "pair.json").read_text())
    assert pair["baseline"]["miou"] == pair["miou"]
    assert pair["difference"] == {"estimate": 0, "low": 0, "high": 0, "level": 0.95}

    assert train.main(["train", *TINY]) == 0
    assert "has finished before, after step 3: nothing to do" in capsys.readouterr().out

    assert train.main(["train", *TINY, "--config.seed=1"]) == 2
    shown = capsys.readouterr().err
    assert "Error: tfquantseg-runs/digits holds a run of another config:\n  config.seed is" in shown


def test_a_learning_rate_off_its_grid_is_one_message(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [*INTEGER, "--config.optimizer.learning_rate=0.1"]
    assert train.main(["train", *argv]) == 2
    shown = capsys.readouterr().err.splitlines()[-1]
    assert shown.startswith("Error: learning rate 0.1 is not on the 24-bit grid of")


def test_a_run_of_integers_can_be_converted_next(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main(["train", *INTEGER]) == 0
    printed = capsys.readouterr()
    assert "after step 3, running activation scales" in printed.out
    assert "pixels " in printed.err and "% (running activation scales)\n" in printed.err
    evaluates, audit, _, convert = printed.out.splitlines()[-4:]
    assert evaluates.endswith("--scales=dynamic")
    assert "tfquantseg-audit --config=digits --config.policy=INTEGER" in audit
    assert convert == "  tfquantseg-convert --workdir=tfquantseg-runs/digits"


def test_a_folder_of_something_else_is_no_workdir(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "photos").mkdir()
    (here / "photos" / "a.png").write_text("mine")
    assert train.main(["train", *TINY, "--workdir=photos"]) == 2
    assert capsys.readouterr().err == (
        "Error: photos is no work directory: it has no config.json, and holds a.png. Give a new "
        "folder as --workdir.\n"
    )
    assert [path.name for path in (here / "photos").iterdir()] == ["a.png"]


def test_masks_in_black_and_white_are_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(here / "mine", labels=np.where(LABELS > 0, np.uint8(255), np.uint8(0)))
    argv = ["train", "--config=folder", "--config.data.options.root=mine"]
    assert train.main([*argv, "--workdir=run"]) == 2
    assert "Error: Data set folder, split train: the masks hold no two classes to tell apart." in (
        capsys.readouterr().err
    )
    assert not Path("run").exists()


def test_a_mask_of_val_of_another_size_is_found_before_training(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(here / "mine")
    Image.fromarray(LABELS[:2]).save(here / "mine" / "masks" / "e.png")
    argv = ["train", "--config=folder", "--config.data.options.root=mine", "--workdir=run"]
    assert train.main(argv) == 2
    assert "split val: 1 of 1 masks have another size (height x width) than their images: " in (
        capsys.readouterr().err
    )
    assert not Path("run").exists()
