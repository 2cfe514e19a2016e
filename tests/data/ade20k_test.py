"""SceneParse150: the layout, with made files; the real sample where it is present."""

import pathlib

import numpy as np
import pytest

from tests.data import published_trees
from tfquantseg.data import ade20k, load, splits
from tfquantseg.data.ade20k_classes import NAMES, PALETTE

VALUES = np.array([[0, 1, 2], [150, 7, 0]], np.uint8)
LABELS = np.array([[255, 0, 1], [149, 6, 255]], np.uint8)


def _root(folder: pathlib.Path) -> pathlib.Path:
    return published_trees.ade(folder, VALUES)


def test_a_split_is_read(tmp_path: pathlib.Path) -> None:
    root = _root(tmp_path)
    data = load("ade20k", "train", root=root)
    assert [data.key(index) for index in range(2)] == ["ADE_train_00000001", "ADE_train_00000002"]
    np.testing.assert_array_equal(data.read(1).label, LABELS)
    assert (data.classes[0], data.classes[149], len(data.classes)) == ("wall", "flag", 150)
    assert len(load("ade20k", "val", root=root)) == 1
    assert splits("ade20k", root=root) == ("train", "val")


def test_every_class_has_a_name_of_its_own() -> None:
    assert len(set(NAMES)) == len(PALETTE) == 150
    # The publisher gives "skyscraper" the colour of "road".
    assert len(set(PALETTE)) == 149


def test_names_are_those_of_the_file(tmp_path: pathlib.Path) -> None:
    root = _root(tmp_path)
    rows = [f"{number}\t0.1\t1\t1\tthing {number}, object" for number in range(1, 151)]
    path = root / "objectInfo150.txt"
    path.write_text("\n".join(["Idx\tRatio\tTrain\tVal\tName", *rows]))
    assert load("ade20k", "val", root=root).classes[149] == "thing 150"
    path.write_text("\n".join(["Idx\tRatio\tTrain\tVal\tName", *rows[:-1]]))
    with pytest.raises(ValueError, match=r"names 149 classes; accepted are 150\. Replace"):
        load("ade20k", "val", root=root)
    path.write_text("\n".join(["Idx\tRatio\tTrain\tVal\tName", *rows[1:]]))
    with pytest.raises(ValueError, match=r"line 2 is '2.*Idx being 1 there"):
        load("ade20k", "val", root=root)


@pytest.mark.parametrize(
    "sign",
    [
        "index_ade20k.pkl",
        "index_ade20k.mat",
        "images/ADE/training/urban/street/ADE_train_00000001_seg.png",
        "images/training/a/abbey/ADE_train_00000001.jpg",
        "images/training/ADE_train_00000001_seg.png",
    ],
)
def test_the_full_release_is_refused(tmp_path: pathlib.Path, sign: str) -> None:
    path = tmp_path / sign
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    message = rf"{tmp_path} is the full release of ADE20K, as .* tells; .*`data download ade20k`"
    with pytest.raises(ValueError, match=message):
        load("ade20k", "train", root=tmp_path)
    with pytest.raises(ValueError, match=message):
        splits("ade20k", root=tmp_path)


def test_missing_parts_are_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "images/training").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"annotations/training/ is missing.*found: images/"):
        load("ade20k", "train", root=tmp_path)


def test_images_without_masks_are_named(tmp_path: pathlib.Path) -> None:
    root = _root(tmp_path)
    (root / "annotations/training/ADE_train_00000002.png").unlink()
    with pytest.raises(ValueError, match=r"1 of 2 images have no mask \(ADE_train_00000002\.jpg\)"):
        load("ade20k", "train", root=root)


def test_values_of_no_class(tmp_path: pathlib.Path) -> None:
    root = _root(tmp_path)
    published_trees.mask(root / "annotations/validation/ADE_val_00000001.png", VALUES + np.uint8(1))
    message = r"ADE_val_00000001\.png holds values .*: 151 \(1 pixels\); accepted are 0 \(other\)"
    with pytest.raises(ValueError, match=message):
        load("ade20k", "val", root=root).read(0)


@pytest.mark.data
def test_the_real_sample(data_root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Its three images, put as the challenge's archive has them."""
    real = data_root / "SceneParse150"
    for kind in ("images", "annotations"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "validation").symlink_to(real / "sampleData" / kind)
    (tmp_path / ade20k.NAMES_FILE).symlink_to(real / ade20k.NAMES_FILE)
    data = load("ade20k", "val", root=tmp_path)
    assert (len(data), data.classes) == (3, NAMES)
    seen = np.unique(np.concatenate([data.read(index).label.ravel() for index in range(3)]))
    assert {NAMES.index(name) for name in ("wall", "building", "sky")} <= set(seen.tolist())
    assert set(seen.tolist()) <= {*range(150), 255}
