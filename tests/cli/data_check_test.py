"""The command data check, on a folder as a user makes it."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data import published_trees
from tests.data.own_folder import LABELS, make
from tfquantseg.cli import data

WITHOUT_LIGHTS = np.where(LABELS == 2, np.uint8(0), LABELS)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BUILD_WORKING_DIRECTORY", raising=False)
    return tmp_path


def _ade(folder: Path) -> Path:
    return published_trees.ade(folder, np.minimum(LABELS, 2).astype(np.uint8))


def _check(root: str, *argv: str) -> int:
    return data.main(
        ["data", "check", "--config=folder", f"--config.data.options.root={root}", *argv]
    )


def test_a_good_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(here / "my road")
    assert _check("my road", "--json=found.json") == 0
    printed = capsys.readouterr()
    assert "] 4/4 images of train in 0:00" in printed.err
    assert "] 1/1 images of val in 0:00" in printed.err
    lines = [line.split() for line in printed.out.splitlines()]
    assert ["images", "4", "1"] in lines
    assert ["1", "road", "27.27%", "4", "27.27%", "1"] in lines  # 3 of 11 pixels, 1 being ignored
    assert "Sheet  data-folder.png (5 images with their masks)" in printed.out
    assert "JSON   found.json" in printed.out
    last = shlex.split(printed.out.splitlines()[-1])
    assert last[0] == "tfquantseg-train"
    assert last[-2:] == ["--config.data.options.root=my road", "--workdir=tfquantseg-runs/folder"]
    found = json.loads(Path("found.json").read_text())
    assert (found["data"], found["problem"]) == ("folder", None)
    assert set(found["splits"]) == {"train", "val"}
    assert found["splits"]["train"]["classes"]["road"] == {
        "pixels": 12,
        "share": 3 / 11,
        "images": 4,
    }
    with Image.open("data-folder.png") as sheet:
        assert sheet.width > 4 * 256


def test_every_file_that_cannot_be_used_is_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(here / "mine")
    (here / "mine/images/a.png").write_text("no picture")
    Image.fromarray(LABELS + np.uint8(2)).save("mine/masks/c.png")
    Image.fromarray(LABELS).convert("RGB").save("mine/masks/e.png")
    assert _check("mine", "--json=found.json", "--out=sheet.png") == 1
    shown = capsys.readouterr().out
    wrong = [line for line in shown.splitlines() if line.startswith("Cannot be used: ")]
    assert [Path(line.split()[3]).name for line in wrong] == ["a.png", "c.png", "e.png"]
    assert "3 of 5 images cannot be used, with their masks; see above." in shown
    assert "Never in" not in shown  # of what could not be read nobody knows
    assert "Sheet  sheet.png (2 images with their masks)" in shown
    away, first, again = shown.splitlines()[-3:]
    assert away == "  mv mine/masks mine/colours"
    assert first == (
        "  tfquantseg-data index-masks --masks=mine/colours --classes=mine/classes.txt "
        "--out=mine/masks"
    )
    assert again.startswith("  tfquantseg-data check --config=")
    assert again.endswith(" --out=sheet.png --overwrite")  # it is the sheet that was made here
    found = json.loads(Path("found.json").read_text())
    assert found["problem"].startswith("3 of 5 images")
    assert len(found["splits"]["train"]["unreadable"]) == 2


def test_without_any_readable_image_no_sheet_is_written(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(here / "mine")
    for path in (here / "mine/images").iterdir():
        path.write_text("no picture")
    assert _check("mine") == 1
    shown = capsys.readouterr().out
    assert "Sheet" not in shown and "index-masks" not in shown  # masks have no part in it
    assert not Path("data-folder.png").exists()


def test_a_sheet_is_replaced_only_when_asked(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(here / "mine")
    Path("photo.png").write_text("mine")
    assert _check("mine", "--out=photo.png") == 2
    told = capsys.readouterr()
    assert "photo.png is there already; replace it with --overwrite" in told.err
    assert told.out == "" and Path("photo.png").read_text() == "mine"
    assert _check("mine", "--out=photo.png", "--overwrite") == 0
    with Image.open("photo.png") as sheet:
        assert sheet.width > 4 * 256


def test_masks_in_black_and_white_are_suspected(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(here / "mine", labels=np.where(LABELS > 0, np.uint8(255), np.uint8(0)))
    assert _check("mine") == 1
    shown = capsys.readouterr().out
    assert "In all splits the masks hold no two classes to tell apart. Pixels of value 255" in shown


def test_a_class_that_never_occurs_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(here / "mine/train", classes=None)
    make(here / "mine/val", classes=None, labels=WITHOUT_LIGHTS)
    Path("mine/classes.txt").write_text("background\nroad\nlight\n")
    assert _check("mine") == 0
    shown = capsys.readouterr().out
    assert "Never in val: light." in shown
    assert "Never in train" not in shown


def test_a_split_that_the_recipe_needs_is_missed(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(here / "mine/train", classes=None)
    Path("mine/classes.txt").write_text("background\nroad\nlight\n")
    assert _check("mine") == 2
    assert "mine has no split 'val', only train. Make the folders" in capsys.readouterr().err
    slices = ("--config.data.train=train[:0.6]", "--config.data.val=train[0.6:]")
    assert _check("mine", *slices) == 0
    assert ["images", "5"] in [line.split() for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--out=sheet.jpg", "--out is 'sheet.jpg'; accepted is the name of a PNG file."),
        ("--out=none/sheet.png", "There is no such folder to write to: none."),
        ("--json=none/a.json", "There is no such folder to write to: none."),
    ],
)
def test_files_that_cannot_be_written_are_refused_before_the_work(
    flag: str, message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The folder of images, which does not exist, would be met next.
    assert _check("mine", flag) == 2
    assert capsys.readouterr().err == f"Error: {message}\n"


def test_another_recipe_s_data(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = "--config.data.options={'scenes': 2, 'size': (48, 48)}"
    assert data.main(["data", "check", options]) == 0
    assert ["images", "2", "2", "2"] in [
        line.split() for line in capsys.readouterr().out.splitlines()
    ]
    assert Path("data-digits.png").is_file()


@pytest.mark.parametrize(
    ("name", "make_tree", "options", "train", "counts"),
    [
        ("voc2012", published_trees.voc, {"root": "VOCdevkit/VOC2012"}, "train", ["2", "1"]),
        ("ade20k", _ade, {"root": "ADEChallengeData2016"}, "train", ["2", "1"]),
        ("cityscapes", published_trees.cityscapes, {"root": "."}, "train", ["2"]),
        ("kitti_road", published_trees.kitti_road, {"root": ".", "target": "lane"}, "train", ["2"]),
        ("ecssd", published_trees.ecssd, {"root": "."}, "all", ["2"]),
    ],
)
def test_a_published_data_set(
    name: str,
    make_tree: Callable[[Path], Path],
    options: dict[str, str],
    train: str,
    counts: list[str],
    here: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_tree(here)
    argv = [
        f"--config.data.name={name}",
        f"--config.data.options={options}",
        f"--config.data.train={train}[:0.5]",
        f"--config.data.val={train}[0.5:]",
    ]
    assert data.main(["data", "check", *argv]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["images", *counts] in lines
    assert ["unreadable", *["0"] * len(counts)] in lines


def test_masks_of_a_published_data_set_are_not_to_be_made_anew(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published_trees.mask(
        published_trees.ecssd(here) / "ground_truth_mask/0002.png", np.full((2, 2), 7, np.uint8)
    )
    argv = ["--config.data.name=ecssd", "--config.data.options={'root': '.'}"]
    argv += ["--config.data.train=all", "--config.data.val=all"]
    assert data.main(["data", "check", *argv]) == 1
    shown = capsys.readouterr().out
    assert "0002.png holds values that mean nothing here: 7 (4 pixels)" in shown
    assert "index-masks" not in shown
