"""KITTI road: the layout, with made files; the real sample where it is present."""

import pathlib

import numpy as np
import pytest

from tests.data import published_trees
from tfquantseg.data import load, splits

LABELS = np.array([[1, 0], [255, 0]], np.uint8)


def test_the_road_of_all_categories_by_number(tmp_path: pathlib.Path) -> None:
    data = load("kitti_road", "train", root=published_trees.kitti_road(tmp_path))
    keys = [data.key(index) for index in range(len(data))]
    assert keys[:4] == ["um_000000", "umm_000000", "uu_000000", "um_000001"]
    np.testing.assert_array_equal(data.read(1).label, LABELS)
    assert data.classes == ("not road", "road")
    assert splits("kitti_road", root=tmp_path) == ("train",)


def test_the_lane_of_um(tmp_path: pathlib.Path) -> None:
    data = load("kitti_road", "train", root=published_trees.kitti_road(tmp_path), target="lane")
    assert [data.key(index) for index in range(len(data))] == ["um_000000", "um_000001"]
    np.testing.assert_array_equal(data.read(0).label, LABELS[:, ::-1])
    assert data.classes == ("not lane", "lane")


def test_an_unknown_target_is_answered_with_the_nearest(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"target of data set 'kitti_road' 'lanes'.*'lane'\?"):
        load("kitti_road", "train", root=tmp_path, target="lanes")


def test_other_colours_are_named(tmp_path: pathlib.Path) -> None:
    root = published_trees.kitti_road(tmp_path)
    path = root / "training/gt_image_2/um_road_000000.png"
    published_trees.mask(path, np.minimum(published_trees.ROAD_COLOURS, 250).astype(np.uint8))
    message = (
        rf"{path} holds colours of no class: 250 0 0 \(2 pixels\), 250 0 250 \(1 pixels\)\. "
        r"Accepted are 255 0 255 .*data_road\.zip"
    )
    with pytest.raises(ValueError, match=message):
        load("kitti_road", "train", root=root).read(0)


def test_an_image_without_mask_is_named(tmp_path: pathlib.Path) -> None:
    root = published_trees.kitti_road(tmp_path)
    (root / "training/gt_image_2/uu_road_000001.png").unlink()
    message = r"by its masks of road, do not match: 1 of 6 images .*\(uu_000001\.png\)"
    with pytest.raises(ValueError, match=message):
        load("kitti_road", "train", root=root)


def test_a_file_of_another_name_is_named(tmp_path: pathlib.Path) -> None:
    root = published_trees.kitti_road(tmp_path)
    published_trees.photo(root / "training/image_2/um_0.png", 2, 2)
    with pytest.raises(ValueError, match=r"image_2 holds um_0\.png, which .* as in um_000000\.png"):
        load("kitti_road", "train", root=root)


def test_missing_parts_are_named_with_where_to_get_them(tmp_path: pathlib.Path) -> None:
    (tmp_path / "testing").mkdir()
    message = r"training/image_2/, training/gt_image_2/ are missing.*found: testing/\. .*login"
    with pytest.raises(ValueError, match=message):
        load("kitti_road", "train", root=tmp_path)


@pytest.mark.data
@pytest.mark.parametrize("target", ["road", "lane"])
def test_the_real_sample(data_root: pathlib.Path, target: str) -> None:
    data = load("kitti_road", "train", root=data_root / "KITTI_road", target=target)
    assert len(data) == 2
    for index in range(2):
        image, label = data.read(index)
        assert image.shape == (375, 1242, 3)
        counts = np.bincount(label.ravel(), minlength=256)
        # Road is in the lower two thirds of the picture.
        assert counts[1] > 10_000
        assert not (label[: 375 // 3] == 1).any()
        assert set(np.flatnonzero(counts)) == {0, 1, 255}
