"""Cityscapes: the layout, with made files."""

import pathlib

import numpy as np
import pytest

from tests.data import published_trees
from tfquantseg.data import load, splits

LABELS = np.array([[255, 0, 1], [18, 13, 255]], np.uint8)


def test_identifiers_become_the_19_classes(tmp_path: pathlib.Path) -> None:
    data = load("cityscapes", "train", root=published_trees.cityscapes(tmp_path))
    assert [data.key(index) for index in range(2)] == ["aachen_1", "bonn_000001"]
    np.testing.assert_array_equal(data.read(0).label, LABELS)
    assert (data.classes[13], data.palette[13], len(data.classes)) == ("car", (0, 0, 142), 19)
    assert splits("cityscapes", root=tmp_path) == ("train",)


def test_train_identifiers_are_read_where_there_are_no_others(tmp_path: pathlib.Path) -> None:
    root = published_trees.cityscapes(tmp_path, names=("bonn_1",))
    (mask,) = (root / "gtFine/train/bonn").iterdir()
    published_trees.mask(mask.with_name("bonn_1_gtFine_labelTrainIds.png"), LABELS)
    mask.unlink()
    np.testing.assert_array_equal(load("cityscapes", "train", root=root).read(0).label, LABELS)


def test_a_missing_mask_is_named(tmp_path: pathlib.Path) -> None:
    root = published_trees.cityscapes(tmp_path)
    (root / "gtFine/train/bonn/bonn_000001_gtFine_labelIds.png").unlink()
    message = (
        r"leftImg8bit/train names 2 masks, of which 1 is missing in .*gtFine/train/bonn: "
        r"bonn_000001_gtFine_labelIds\.png"
    )
    with pytest.raises(ValueError, match=message):
        load("cityscapes", "train", root=root)


def test_missing_parts_are_named_with_where_to_get_them(tmp_path: pathlib.Path) -> None:
    (tmp_path / "leftImg8bit/train").mkdir(parents=True)
    message = r"gtFine/train/ is missing.* behind a login.*gtFine_trainvaltest\.zip"
    with pytest.raises(ValueError, match=message):
        load("cityscapes", "train", root=tmp_path)


def test_an_image_folder_without_images_is_refused(tmp_path: pathlib.Path) -> None:
    for kind in ("leftImg8bit", "gtFine"):
        (tmp_path / kind / "val").mkdir(parents=True)
    with pytest.raises(ValueError, match="cityscapes val has no example"):
        load("cityscapes", "val", root=tmp_path)


def test_values_of_no_identifier(tmp_path: pathlib.Path) -> None:
    root = published_trees.cityscapes(tmp_path, names=("bonn_1",))
    mask = root / "gtFine/train/bonn/bonn_1_gtFine_labelIds.png"
    published_trees.mask(mask, published_trees.CITY_IDENTIFIERS + np.uint8(1))
    message = r"labelIds\.png holds values .*: 34 \(1 pixels\); accepted are the identifiers 0"
    with pytest.raises(ValueError, match=message):
        load("cityscapes", "train", root=root).read(0)


def test_there_is_no_split_test(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"Unknown split of data set 'cityscapes' 'test'"):
        load("cityscapes", "test", root=published_trees.cityscapes(tmp_path))
