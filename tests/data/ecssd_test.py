"""ECSSD: the layout, with made files; the real sample where it is present."""

import pathlib

import numpy as np
import pytest

from tests.data import published_trees
from tfquantseg.data import load, splits


def test_white_is_the_object(tmp_path: pathlib.Path) -> None:
    data = load("ecssd", "all", root=published_trees.ecssd(tmp_path))
    np.testing.assert_array_equal(data.read(0).label, [[0, 1], [1, 0]])
    assert data.classes == ("background", "object")
    assert splits("ecssd", root=tmp_path) == ("all",)
    assert load("ecssd", "all[0.5:]", root=tmp_path).key(0) == "0002"


@pytest.mark.parametrize("value", [1, 128, 254])
def test_a_mask_that_is_not_binary(tmp_path: pathlib.Path, value: int) -> None:
    root = published_trees.ecssd(tmp_path)
    path = root / "ground_truth_mask/0002.png"
    published_trees.mask(path, np.array([[0, 255], [value, 0]], np.uint8))
    message = (
        rf"{path} holds values .*: {value} \(1 pixels\); accepted are 0 \(background\) and 255 "
        r"\(object\)\. A mask between black and white was scaled"
    )
    with pytest.raises(ValueError, match=message):
        load("ecssd", "all", root=root).read(1)


def test_what_has_no_partner_is_named(tmp_path: pathlib.Path) -> None:
    root = published_trees.ecssd(tmp_path)
    (root / "ground_truth_mask/0001.png").unlink()
    with pytest.raises(ValueError, match=r"1 of 2 images have no mask \(0001\.jpg\)\. Complete"):
        load("ecssd", "all", root=root)


def test_missing_parts_are_named_with_where_to_get_them(tmp_path: pathlib.Path) -> None:
    (tmp_path / "images").mkdir()
    message = r"ECSSD: ground_truth_mask/ is missing.*found: images/\. No licence.*images\.zip"
    with pytest.raises(ValueError, match=message):
        load("ecssd", "all", root=tmp_path)


@pytest.mark.data
def test_the_real_sample(data_root: pathlib.Path) -> None:
    data = load("ecssd", "all", root=data_root / "ECSSD")
    assert len(data) >= 100
    for index in range(0, len(data), 10):
        image, label = data.read(index)
        assert max(image.shape) == 400
        assert set(np.unique(label)) == {0, 1}
