"""The command data index-masks, and that a folder in colours can be used after it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.own_folder import LABELS, make
from tfquantseg.cli import data
from tfquantseg.data import load

CLASSES = "background 0 0 0\nroad 128 64 128\nlight 250 170 30\n"
FLAGS = ("--masks=mine/masks", "--classes=mine/classes.txt", "--out=mine/labels")
BORDER = "--ignore=224 224 192"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `mine` whose masks are coloured."""
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "mine", classes=CLASSES)
    colours = np.zeros((256, 3), np.uint8)
    colours[[1, 2, 255]] = (128, 64, 128), (250, 170, 30), (224, 224, 192)
    for path in (tmp_path / "mine" / "masks").iterdir():
        Image.fromarray(colours[LABELS]).save(path)
    return tmp_path


def _error(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert data.main(["data", "index-masks", *argv]) == 2
    assert not Path("mine/labels").exists()
    return capsys.readouterr().err.splitlines()[-1]


def test_a_folder_in_colours_becomes_one_of_labels(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data.main(["data", "index-masks", *FLAGS, BORDER]) == 0
    printed = capsys.readouterr()
    assert "5/5 masks in 0:00" in printed.err
    assert "Masks  mine/labels (5 label maps)" in printed.out
    last = printed.out.splitlines()[-1]
    assert "data check --config=folder" in last and last.endswith("  # or your recipe")
    Path("mine/masks").rename("colours")
    Path("mine/labels").rename("mine/masks")
    np.testing.assert_array_equal(load("folder", "train", root="mine").read(0).label, LABELS)
    # It still shows its colours.
    with Image.open("mine/masks/a.png") as mask:
        assert mask.convert("RGB").getpixel((1, 0)) == (128, 64, 128)


def test_a_colour_of_no_class_leaves_nothing_behind(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = _error(capsys, *FLAGS)
    assert "mine/masks/a.png holds colours of no class: 224 224 192 (1 pixels)." in shown
    assert sorted(path.name for path in Path("mine").iterdir()) == [
        "classes.txt", "images", "masks"
    ]  # fmt: skip


def test_classes_without_colours(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine/classes.txt").write_text("background\nroad\n")
    shown = _error(capsys, *FLAGS)
    assert "mine/classes.txt gives no colours; write red, green and blue after each name" in shown


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--ignore=white", "--ignore is 'white'; accepted are red, green and blue from 0 to 255"),
        ("--ignore=1 2 256", "--ignore is '1 2 256'; accepted are red, green and blue"),
        ("--ignore=128,64,128", "--ignore is '128,64,128', the colour of 'road'; give another."),
        ("--out=none/labels", "There is no such folder to write to: none."),
        ("--out=mine/images", "mine/images exists already; give the name of a new folder"),
        ("--masks=none", "The folder none is missing"),
    ],
)
def test_flags_that_are_refused(
    flag: str, message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in _error(capsys, *FLAGS, flag)


def test_all_three_folders_are_needed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--out must have a value" in _error(capsys, *FLAGS[:2])
