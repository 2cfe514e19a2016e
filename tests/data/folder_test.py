"""A folder of one's own: its layouts, its splits, and each mistake that is answered."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from tests.data.own_folder import LABELS, make
from tfquantseg.data import SegmentationData, load, splits


def _keys(data: SegmentationData) -> list[str]:
    return [data.key(index) for index in range(len(data))]


def test_one_set_is_split_by_the_order_of_names(tmp_path: pathlib.Path) -> None:
    make(tmp_path, ("c", "a", "e", "b", "d"))
    train, val = load("folder", "train", root=tmp_path), load("folder", "val", root=str(tmp_path))
    assert (_keys(train), _keys(val)) == (["a", "b", "c", "d"], ["e"])
    assert splits("folder", root=tmp_path, val_share=0.5) == ("train", "val")
    image, label = train.read(0)
    np.testing.assert_array_equal(image, np.full((3, 4, 3), 1))
    np.testing.assert_array_equal(label, LABELS)
    assert train.classes == ("background", "road", "traffic light")
    assert train.ignore_label == 255


@pytest.mark.parametrize(
    ("share", "held_out"), [(0.01, 1), (0.2, 1), (0.4, 2), (0.5, 2), (0.8, 4), (0.99, 4)]
)
def test_the_share_that_is_held_out(tmp_path: pathlib.Path, share: float, held_out: int) -> None:
    make(tmp_path)
    train, val = (
        load("folder", split, root=tmp_path, val_share=share) for split in ("train", "val")
    )
    assert _keys(train) + _keys(val) == ["a", "b", "c", "d", "e"]
    assert len(val) == held_out


@pytest.mark.parametrize("share", [0, 1, -0.1, "0.2", True])
def test_a_share_out_of_range(tmp_path: pathlib.Path, share: object) -> None:
    make(tmp_path)
    with pytest.raises(ValueError, match=r"`val_share` is .*; accepted are shares above 0 and"):
        load("folder", "val", root=tmp_path, val_share=share)


def test_a_single_image_cannot_be_split(tmp_path: pathlib.Path) -> None:
    make(tmp_path, ("a",))
    with pytest.raises(ValueError, match=r"only the image .*images/a\.png; at least 2 are needed"):
        load("folder", "train", root=tmp_path)


def test_folders_of_splits_are_taken_as_they_are(tmp_path: pathlib.Path) -> None:
    make(tmp_path / "train", ("b", "a"), classes=None)
    make(tmp_path / "test", ("c",), classes=None)
    (tmp_path / "classes.txt").write_text("x 9 9 9\ny 8 8 8\nz 7 7 7\n")
    assert splits("folder", root=tmp_path) == ("train", "test")
    data = load("folder", "train", root=tmp_path)
    assert _keys(data) == ["a", "b"]
    assert data.palette == ((9, 9, 9), (8, 8, 8), (7, 7, 7))
    with pytest.raises(
        ValueError, match=r"no split 'val', only train and test\. Make .*val/images"
    ):
        load("folder", "val", root=tmp_path)


def test_a_split_that_no_folder_has(tmp_path: pathlib.Path) -> None:
    make(tmp_path)
    message = (
        r"Unknown split of data set 'folder' 'trian'; accepted: train, val\. Did you .*'train'\?"
    )
    with pytest.raises(ValueError, match=message):
        load("folder", "trian", root=tmp_path)


def test_endings_may_be_written_in_any_case(tmp_path: pathlib.Path) -> None:
    make(tmp_path, ("a", "b"))
    Image.new("RGB", (4, 3)).save(tmp_path / "images" / "c.1.JPG", "JPEG")
    Image.fromarray(LABELS).save(tmp_path / "masks" / "c.1.PNG")
    Image.new("RGB", (4, 3)).save(tmp_path / "images" / "d.Jpeg", "JPEG")
    Image.fromarray(LABELS).save(tmp_path / "masks" / "d.png")
    data = load("folder", "train", root=tmp_path, val_share=0.1)
    assert _keys(data) == ["a", "b", "c.1"]
    assert data.read(2).image.shape == (3, 4, 3)


def test_hidden_files_are_left_alone(tmp_path: pathlib.Path) -> None:
    make(tmp_path)
    (tmp_path / "images" / ".DS_Store").write_text("")
    assert len(load("folder", "train", root=tmp_path)) == 4


def test_the_home_may_be_written_short(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load("folder", "train", root="~/mine")) == 4


@pytest.mark.parametrize("root", [None, ""])
def test_without_a_root(root: str | None) -> None:
    with pytest.raises(ValueError, match=r"`root` is empty\. Give the folder that holds classes"):
        load("folder", "train", root=root)


def test_a_folder_that_is_missing_is_named_in_full(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=rf"no folder {tmp_path}/mine\. .*data\.options\.root=F"):
        splits("folder", root="mine")


@pytest.mark.parametrize("given", ["images", "masks"])
def test_a_part_of_the_folder_is_not_the_folder(given: str, tmp_path: pathlib.Path) -> None:
    make(tmp_path)
    with pytest.raises(ValueError, match=rf"Did you mean {tmp_path}\? Give it as --config"):
        load("folder", "train", root=tmp_path / given)


def test_another_layout_is_told_what_there_is_and_what_to_make(tmp_path: pathlib.Path) -> None:
    (tmp_path / "imgs").mkdir()
    (tmp_path / "annotations").mkdir()
    message = (
        rf"neither images/ and masks/ nor train, val, test, but annotations, imgs\. Put .*into "
        rf"{tmp_path}/images and .*{tmp_path}/train/masks"
    )
    with pytest.raises(ValueError, match=message):
        load("folder", "train", root=tmp_path)


def test_an_empty_folder(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"nor train, val, test, and is empty\. Put the images"):
        load("folder", "train", root=tmp_path)


def test_two_layouts_at_once(tmp_path: pathlib.Path) -> None:
    make(tmp_path)
    make(tmp_path / "val", classes=None)
    with pytest.raises(ValueError, match="holds both images/ and masks/ and val/, so that it is"):
        load("folder", "train", root=tmp_path)


def test_classes_are_needed(tmp_path: pathlib.Path) -> None:
    make(tmp_path, classes=None)
    with pytest.raises(ValueError, match=rf"{tmp_path}/classes\.txt is missing\. Write into it"):
        load("folder", "train", root=tmp_path)


def test_masks_of_other_names(tmp_path: pathlib.Path) -> None:
    make(tmp_path, tuple("abcdefg"))
    for path in sorted((tmp_path / "masks").iterdir())[1:]:
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    message = (
        r"6 of 7 images have no mask \(b\.png, c\.png, d\.png, e\.png, f\.png and 1 more\), and "
        r"6 of 7 masks have no image \(b_mask\.png, .* and 1 more\)\. A mask has the name of its "
        r"image but for the ending, as a\.jpg and a\.png\. Rename"
    )
    with pytest.raises(ValueError, match=message):
        load("folder", "train", root=tmp_path)


def test_test_images_without_masks_are_named(tmp_path: pathlib.Path) -> None:
    make(tmp_path / "train", classes=None)
    make(tmp_path / "test", ("x", "y"), classes=None)
    (tmp_path / "classes.txt").write_text("a\nb\nc\n")
    (tmp_path / "test" / "masks" / "y.png").unlink()
    message = r"test/masks do not match: 1 of 2 images have no mask \(y\.png\)\. A mask has the"
    with pytest.raises(ValueError, match=message):
        load("folder", "test", root=tmp_path)


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_empty_and_missing_folders(tmp_path: pathlib.Path, kind: str) -> None:
    make(tmp_path)
    for path in (tmp_path / kind).iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=rf"{tmp_path}/{kind} is empty; put the {kind} into it"):
        load("folder", "train", root=tmp_path)
    (tmp_path / kind).rmdir()
    with pytest.raises(ValueError, match=rf"The folder {tmp_path}/{kind} is missing; make it"):
        load("folder", "train", root=tmp_path)


@pytest.mark.parametrize(
    ("kind", "name", "accepted"),
    [
        ("images", "x.bmp", "PNG or JPEG files only, and no folders"),
        ("images", "x", "PNG or JPEG files only"),
        ("masks", "x.jpg", "PNG, since JPEG changes labels, files only"),
    ],
)
def test_files_of_another_kind(tmp_path: pathlib.Path, kind: str, name: str, accepted: str) -> None:
    make(tmp_path)
    (tmp_path / kind / name).write_text("")
    with pytest.raises(
        ValueError, match=rf"{tmp_path}/{kind} holds {name}; accepted are {accepted}"
    ):
        load("folder", "train", root=tmp_path)


def test_a_folder_among_the_images(tmp_path: pathlib.Path) -> None:
    make(tmp_path)
    (tmp_path / "images" / "city.png").mkdir()
    with pytest.raises(ValueError, match=r"images holds city\.png; accepted .* no folders"):
        load("folder", "train", root=tmp_path)


def test_a_name_that_stands_twice(tmp_path: pathlib.Path) -> None:
    make(tmp_path)
    Image.new("RGB", (4, 3)).save(tmp_path / "images" / "b.jpg")
    with pytest.raises(ValueError, match=r"holds both b\.jpg and b\.png, which are one example"):
        load("folder", "train", root=tmp_path)


def test_labels_that_classes_txt_does_not_name(tmp_path: pathlib.Path) -> None:
    labels = LABELS.copy()
    labels[0, :2] = 3, 7
    make(tmp_path, labels=labels, classes="background\nroad\n")
    message = (
        rf"{tmp_path}/masks/a\.png holds labels that {tmp_path}/classes\.txt does not name: "
        r"2 \(2 pixels\), 3 \(1 pixels\), 7 \(1 pixels\)\. It names 2 classes, labels 0 to 1; 255 "
        r"is ignored\. Add lines up to line 8, which names label 7, or correct the mask"
    )
    with pytest.raises(ValueError, match=message):
        load("folder", "train", root=tmp_path).read(0)


def test_a_palette_mask_holds_its_indices(tmp_path: pathlib.Path) -> None:
    make(tmp_path)
    image = Image.fromarray(LABELS)
    image.putpalette([90, 80, 70] * 256)
    assert image.mode == "P"
    image.save(tmp_path / "masks" / "a.png")
    np.testing.assert_array_equal(load("folder", "train", root=tmp_path).read(0).label, LABELS)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "1", "LA"])
def test_masks_in_colours_are_refused_with_how_to_convert_them(
    tmp_path: pathlib.Path, mode: str
) -> None:
    make(tmp_path)
    Image.fromarray(LABELS).convert(mode).save(tmp_path / "masks" / "a.png")
    message = rf"masks/a\.png is a PNG of mode '{mode}'.* The command `data index-masks` makes"
    with pytest.raises(ValueError, match=message):
        load("folder", "train", root=tmp_path).read(0)


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_a_corrupt_file_is_named(tmp_path: pathlib.Path, kind: str) -> None:
    make(tmp_path)
    path = tmp_path / kind / "a.png"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=rf"{path} \(\d+ bytes\) cannot be decoded"):
        load("folder", "train", root=tmp_path).read(0)


def test_a_mask_of_another_size(tmp_path: pathlib.Path) -> None:
    make(tmp_path)
    Image.fromarray(LABELS[:2]).save(tmp_path / "masks" / "a.png")
    message = r"images/a\.png with .*masks/a\.png: the image is 3 x 4, its label map uint8 2 x 4"
    with pytest.raises(ValueError, match=message):
        load("folder", "train", root=tmp_path).read(0)


def test_a_mask_that_lies_on_its_side(tmp_path: pathlib.Path) -> None:
    make(tmp_path)
    Image.fromarray(LABELS.T).save(tmp_path / "masks" / "a.png")
    message = r"images/a\.png is 3 x 4 and .*masks/a\.png 4 x 3 .*: one of them lies on its side"
    with pytest.raises(ValueError, match=message):
        load("folder", "train", root=tmp_path).read(0)
