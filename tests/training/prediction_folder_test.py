"""The folder of predictions: what is in it, and that nothing is written over."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfquantseg import pictures
from tfquantseg.data import image_files
from tfquantseg.training.prediction_folder import MOST_ON_SHEET, PredictionFolder

CLASSES = ("ground", "tree")
PALETTE = ((0, 0, 0), (0, 200, 0))
IMAGE = np.full((6, 8, 3), 100, np.uint8)
LABEL = np.zeros((6, 8), np.uint8)
LABEL[:, 6:] = 1


def _folder(path: Path, total: int = 1, truth: bool = False) -> PredictionFolder:
    return PredictionFolder(path, CLASSES, PALETTE, total=total, truth=truth)


def test_what_is_written(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    folder = _folder(out, total=2)
    folder.add("a", "photos/a.jpg", IMAGE, LABEL)
    folder.fail("photos/b.jpg", "photos/b.jpg cannot be decoded.")
    folder.finish({"step": 3})
    np.testing.assert_array_equal(image_files.read_labels(out / "classes" / "a.png"), LABEL)
    np.testing.assert_array_equal(
        image_files.read_image(out / "overlays" / "a.png"),
        pictures.overlay(IMAGE, LABEL, PALETTE),
    )
    assert json.loads((out / "predictions.json").read_text()) == {
        "step": 3,
        "classes": ["ground", "tree"],
        "palette": [[0, 0, 0], [0, 200, 0]],
        "images": [
            {
                "image": "photos/a.jpg",
                "overlay": "overlays/a.png",
                "classes": "classes/a.png",
                "height": 6,
                "width": 8,
                "share": {"ground": 0.75, "tree": 0.25},
            }
        ],
        "failed": [{"image": "photos/b.jpg", "error": "photos/b.jpg cannot be decoded."}],
    }
    assert folder.written == 1 and folder.failed[0]["image"] == "photos/b.jpg"
    assert {path.name for path in out.iterdir()} == {
        "overlays", "classes", "contact_sheet.png", "predictions.json",
    }  # fmt: skip


def test_a_class_is_shown_in_its_colour(tmp_path: Path) -> None:
    _folder(tmp_path / "out").add("a", "a.png", IMAGE, LABEL)
    with Image.open(tmp_path / "out" / "classes" / "a.png") as image:
        assert image.convert("RGB").getpixel((7, 0)) == PALETTE[1]


def _sheet_size(out: Path) -> tuple[int, int]:
    with Image.open(out / "contact_sheet.png") as sheet:
        return sheet.size


def test_the_sheet_shows_image_truth_and_prediction(tmp_path: Path) -> None:
    truth = np.where(LABEL == 0, np.uint8(255), LABEL)
    folder = _folder(tmp_path / "out", total=1, truth=True)
    folder.add("a", "a", IMAGE, LABEL, truth)
    folder.finish({})
    # Three tiles of 1152 / 3 pixels with gaps of 10; 8 x 6 pixels enlarged 48 times.
    assert _sheet_size(tmp_path / "out") == (3 * 384 + 4 * 10, 10 + 288 + 20 + 10 + 20 + 10)
    with Image.open(tmp_path / "out" / "contact_sheet.png") as sheet:
        middle = [sheet.getpixel((10 + 384 // 4 + k * 394, 10 + 288 // 2)) for k in range(3)]
    # The image; an ignored pixel, which is the image; a pixel of "ground", 40 % of 100.
    assert middle == [(100, 100, 100), (100, 100, 100), (40, 40, 40)]


def test_the_sheet_holds_the_first_images_only(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "out", total=MOST_ON_SHEET + 2)
    for number in range(MOST_ON_SHEET + 2):
        folder.add(f"{number}", f"{number}.png", IMAGE[:1, :1], LABEL[:1, :1])
    folder.finish({})
    # Two images a row, each a square of 288 pixels twice, with its caption and a gap below.
    rows = MOST_ON_SHEET // 2
    assert _sheet_size(tmp_path / "out")[1] == 10 + rows * (288 + 20 + 10) + 20 + 10
    assert len(list((tmp_path / "out" / "overlays").iterdir())) == MOST_ON_SHEET + 2


def test_without_a_prediction_there_is_no_sheet(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "out")
    folder.fail("a.png", "unreadable")
    folder.finish({})
    assert not (tmp_path / "out" / "contact_sheet.png").exists()
    assert json.loads((tmp_path / "out" / "predictions.json").read_text())["images"] == []


def test_a_folder_that_is_not_empty_is_refused_and_left_alone(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / f"file{number}").touch()
    with pytest.raises(ValueError, match=r"is not empty: it holds file0, .*file4 and 2 more\. Not"):
        _folder(tmp_path)
    assert len(list(tmp_path.iterdir())) == 7


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    _folder(tmp_path)
    with pytest.raises(ValueError, match=r"it holds classes, overlays\. Nothing is written over"):
        _folder(tmp_path)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file is a file; give a folder"):
        _folder(tmp_path / "file")
    with pytest.raises(OSError, match="Not a directory"):
        _folder(tmp_path / "file" / "out")
