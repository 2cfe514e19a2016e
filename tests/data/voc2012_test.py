"""PASCAL VOC 2012: the layout, with made files; the real masks where they are present."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from tests.data import published_trees
from tfquantseg.data import load, splits, voc2012

LABELS = published_trees.VOC_LABELS
SBD_LABELS = np.where(LABELS == 255, np.uint8(0), LABELS)


def _keys(split: str, root: pathlib.Path) -> list[str]:
    data = load("voc2012", split, root=root)
    return [data.key(index) for index in range(len(data))]


def test_a_split_is_read_in_the_order_of_its_list(tmp_path: pathlib.Path) -> None:
    root = published_trees.voc(tmp_path, {"train": ("b", "a"), "val": ("c",)})
    assert _keys("train", root) == ["b", "a"]
    data = load("voc2012", "val", root=root)
    np.testing.assert_array_equal(data.read(0).label, LABELS)
    assert data.classes[15] == "person"
    assert (data.palette[15], data.ignore_label) == ((192, 128, 128), 255)
    assert splits("voc2012", root=root) == ("train", "val")


def test_the_folder_comes_from_the_environment(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published_trees.voc(tmp_path)
    monkeypatch.setenv("TFQUANTSEG_DATA", str(tmp_path))
    assert len(load("voc2012", "train")) == 2


def test_a_grey_mask_is_one_too(tmp_path: pathlib.Path) -> None:
    root = published_trees.voc(tmp_path)
    published_trees.mask(root / "SegmentationClass/2007_c.png", LABELS)
    np.testing.assert_array_equal(load("voc2012", "val", root=root).read(0).label, LABELS)


def test_the_augmented_split_from_png_files(tmp_path: pathlib.Path) -> None:
    root = published_trees.voc(tmp_path, {"train": ("a",), "train_aug": ("a", "d")})
    for name in ("a", "d"):
        published_trees.mask(root / "SegmentationClassAug" / f"{name}.png", SBD_LABELS)
    data = load("voc2012", "train_aug", root=root)
    np.testing.assert_array_equal(data.read(1).label, SBD_LABELS)
    np.testing.assert_array_equal(data.read(0).label, SBD_LABELS)
    assert splits("voc2012", root=root) == ("train", "train_aug")


@pytest.mark.parametrize("with_list", [True, False])
def test_the_augmented_split_from_sbd(tmp_path: pathlib.Path, with_list: bool) -> None:
    """Its list is VOC's and SBD's without val; of an image that both have, VOC's mask is taken."""
    lists = {"train": ("a", "b"), "val": ("c",), "train_aug": ("a", "b", "d", "e")}
    root = published_trees.voc(tmp_path, lists)
    published_trees.sbd(tmp_path, {"train": ("a", "d"), "val": ("c", "e")}, SBD_LABELS)
    if not with_list:
        (root / "ImageSets/Segmentation/train_aug.txt").unlink()
    assert _keys("train_aug", root) == ["a", "b", "d", "e"]
    data = load("voc2012", "train_aug", root=root)
    np.testing.assert_array_equal(data.read(0).label, LABELS)
    np.testing.assert_array_equal(data.read(2).label, SBD_LABELS)
    assert splits("voc2012", root=root) == ("train", "val", "train_aug")


def test_sbd_may_lie_elsewhere(tmp_path: pathlib.Path) -> None:
    root = published_trees.voc(tmp_path / "here", {"train": ("a",), "train_aug": ("a", "d")})
    more = published_trees.sbd(tmp_path / "there", {"train": ("d",)}, SBD_LABELS)
    assert len(load("voc2012", "train_aug", root=root, sbd_root=more)) == 2
    assert splits("voc2012", root=root, sbd_root=more) == ("train", "train_aug")


def test_a_tree_without_sbd(tmp_path: pathlib.Path) -> None:
    root = published_trees.voc(tmp_path, {"train": ("a",), "val": ("c",)})
    message = r"'train_aug' has no list: neither .*/train_aug\.txt nor .*train\.txt with val\.txt"
    with pytest.raises(ValueError, match=message):
        load("voc2012", "train_aug", root=root)
    published_trees.voc(tmp_path, {"train_aug": ("a", "d")})
    message = (
        r"needs masks that VOC itself does not have \(d\): neither .*SegmentationClassAug, .* nor "
        r".*benchmark_RELEASE/dataset/cls, .*`data download sbd`.* there is the split 'train'\."
    )
    with pytest.raises(ValueError, match=message):
        load("voc2012", "train_aug", root=root)
    assert splits("voc2012", root=root) == ("train", "val")


def test_a_list_may_hold_paths(tmp_path: pathlib.Path) -> None:
    root = published_trees.voc(tmp_path)
    listing = root / "ImageSets/Segmentation/val.txt"
    listing.write_text("/JPEGImages/2007_c.jpg /SegmentationClass/2007_c.png\n")
    assert _keys("val", root) == ["2007_c"]
    listing.write_text("2007_c 1\n")
    with pytest.raises(ValueError, match=r"val\.txt, line 1 names 1 and 2007_c; accepted is"):
        load("voc2012", "val", root=root)


def test_a_list_that_names_missing_files(tmp_path: pathlib.Path) -> None:
    root = published_trees.voc(tmp_path)
    listing = root / "ImageSets/Segmentation/train.txt"
    listing.write_text(listing.read_text() + "2007_x\n2007_y\n")
    message = (
        rf"list {listing} names 4 images, of which 2 are missing in {root}/JPEGImages: "
        r"2007_x\.jpg, 2007_y\.jpg\. Complete the folder, or remove"
    )
    with pytest.raises(ValueError, match=message):
        load("voc2012", "train", root=root)
    (root / "SegmentationClass/2007_c.png").unlink()
    message = r"names 1 masks, of which 1 is missing in .*SegmentationClass: 2007_c\.png"
    with pytest.raises(ValueError, match=message):
        load("voc2012", "val", root=root)


def test_a_palette_of_other_colours(tmp_path: pathlib.Path) -> None:
    """An image program that numbers the colours anew makes index 3 of a person."""
    root = published_trees.voc(tmp_path)
    anew = [voc2012.colour(label) for label in (0, 1, 2, 15, 20)]
    path = root / "SegmentationClass/2007_c.png"
    published_trees.mask(path, np.array([[0, 1, 3, 3], [4, 0, 0, 2], [0, 0, 0, 0]], np.uint8), anew)
    message = (
        rf"{path} has another palette than VOC's: index 3 is 192 128 128 and not 128 128 0, index "
        r"4 is 0 64 128 and not 0 0 128 .*Replace the file"
    )
    with pytest.raises(ValueError, match=message):
        load("voc2012", "val", root=root).read(0)


@pytest.mark.parametrize("write", [published_trees.mask, published_trees.voc_mask])
def test_indices_of_no_class(tmp_path: pathlib.Path, write) -> None:
    root = published_trees.voc(tmp_path)
    path = root / "SegmentationClass/2007_c.png"
    write(path, LABELS + np.uint8(2))
    message = r"2007_c\.png holds values .*: 22 \(1 pixels\); accepted are 0 to 20.*255 \(void\)"
    with pytest.raises(ValueError, match=message):
        load("voc2012", "val", root=root).read(0)


def test_a_mask_in_colours_is_refused(tmp_path: pathlib.Path) -> None:
    root = published_trees.voc(tmp_path)
    published_trees.mask(root / "SegmentationClass/2007_c.png", np.zeros((3, 4, 3), np.uint8))
    with pytest.raises(ValueError, match=r"2007_c\.png is a PNG of mode 'RGB'; accepted"):
        load("voc2012", "val", root=root).read(0)


def test_an_unknown_split_is_answered_with_the_nearest(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"'train_agu'; .*Did you mean 'train_aug'\?"):
        load("voc2012", "train_agu", root=tmp_path)


@pytest.mark.data
def test_the_real_folder_lacks_its_images(data_root: pathlib.Path) -> None:
    root = data_root / "VOCdevkit/VOC2012"
    message = rf"{root} is no complete PASCAL VOC 2012: JPEGImages/ is missing\..*found: ImageSets/"
    with pytest.raises(ValueError, match=message):
        load("voc2012", "train", root=root)
    assert splits("voc2012", root=root) == voc2012.SPLITS


@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "split", "count"),
    [("SegmentationClass", "train", 1464), ("SegmentationClassAug", "train_aug", 10582)],
)
def test_the_real_masks(
    data_root: pathlib.Path, tmp_path: pathlib.Path, folder: str, split: str, count: int
) -> None:
    """Under images of the same size that the test makes, since there are none."""
    real = data_root / "VOCdevkit/VOC2012"
    names = (real / "ImageSets/Segmentation" / f"{split}.txt").read_text().split()
    val = set((real / "ImageSets/Segmentation/val.txt").read_text().split())
    assert (len(names), len(set(names) & val)) == (count, 0)
    masks = [real / folder / f"{name}.png" for name in names]
    present = [mask for mask in masks if mask.is_file()]
    assert len(present) > 10
    listing = tmp_path / "ImageSets/Segmentation" / f"{split}.txt"
    listing.parent.mkdir(parents=True)
    listing.write_text("\n".join(mask.stem for mask in present))
    (tmp_path / folder).symlink_to(real / folder)
    for mask in present:
        with Image.open(mask) as image:
            published_trees.photo(
                tmp_path / "JPEGImages" / f"{mask.stem}.jpg", image.height, image.width
            )
    data = load("voc2012", split, root=tmp_path)
    seen = np.zeros(256, bool)
    for index in range(len(data)):
        seen[data.read(index).label] = True
    assert set(np.flatnonzero(seen)) <= {*range(21), 255}
    # Most of the 20 classes are in a few dozen images.
    assert seen[:21].sum() > 10
