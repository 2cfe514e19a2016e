"""CamVid: the layout, with made files; the real data where it is present."""

import pathlib
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from tfquantseg.data import load

LABELS = np.array([[0, 10, 11], [255, 3, 5]], np.uint8)


def _make(root: pathlib.Path, split: str = "train", names: tuple[str, ...] = ("a", "b")) -> None:
    """A tiny CamVid; image k is filled with k, its labels are LABELS."""
    lines = []
    for number, name in enumerate(names):
        for folder, array in (
            (split, np.full((2, 3, 3), number, np.uint8)),
            (f"{split}annot", LABELS),
        ):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(root / folder / f"{name}.png")
        lines.append(f"/SegNet/CamVid/{split}/{name}.png /SegNet/CamVid/{split}annot/{name}.png\n")
    (root / f"{split}.txt").write_text("".join(lines))


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_is_read_in_the_order_of_its_list(tmp_path: pathlib.Path, split: str) -> None:
    _make(tmp_path, split, ("b", "a"))
    data = load("camvid", split, root=tmp_path)
    assert [data.key(index) for index in range(len(data))] == ["b", "a"]
    image, label = data.read(1)
    np.testing.assert_array_equal(image, np.full((2, 3, 3), 1))
    # Void, 11 in the files, is ignored; so is 255.
    np.testing.assert_array_equal(label, [[0, 10, 255], [255, 3, 5]])
    assert (len(data.classes), data.ignore_label) == (11, 255)
    assert data.palette[data.classes.index("Road")] == (128, 64, 128)


def test_the_folder_comes_from_the_environment(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make(tmp_path / "CamVid")
    monkeypatch.setenv("TFQUANTSEG_DATA", str(tmp_path))
    assert len(load("camvid", "train")) == 2
    monkeypatch.delenv("TFQUANTSEG_DATA")
    with pytest.raises(ValueError, match=r"Set the environment variable TFQUANTSEG_DATA"):
        load("camvid", "train")


def test_an_empty_line_is_no_example(tmp_path: pathlib.Path) -> None:
    _make(tmp_path)
    (tmp_path / "train.txt").write_text("\n" + (tmp_path / "train.txt").read_text() + "\n")
    assert len(load("camvid", "train", root=str(tmp_path))) == 2


def test_images_of_one_name_in_two_folders_are_two_examples(tmp_path: pathlib.Path) -> None:
    _make(tmp_path, "train")
    _make(tmp_path, "val", ("c", "a"))
    lines = "".join((tmp_path / f"{split}.txt").read_text() for split in ("train", "val"))
    (tmp_path / "train.txt").write_text(lines)
    data = load("camvid", "train", root=tmp_path)
    assert [data.key(index) for index in range(4)] == ["train-a", "b", "c", "val-a"]
    assert [data.read(index).image[0, 0, 0] for index in range(4)] == [0, 1, 0, 1]


def test_a_line_that_is_there_twice_is_refused(tmp_path: pathlib.Path) -> None:
    _make(tmp_path, names=("a", "a"))
    message = (
        rf"two examples of key 'train-a': {tmp_path}/train/a\.png with .* Remove or rename one"
    )
    with pytest.raises(ValueError, match=message):
        load("camvid", "train", root=tmp_path)


def test_a_list_may_begin_with_a_byte_order_mark(tmp_path: pathlib.Path) -> None:
    _make(tmp_path)
    listing = tmp_path / "train.txt"
    listing.write_bytes(b"\xef\xbb\xbf" + listing.read_bytes())
    assert len(load("camvid", "train", root=tmp_path)) == 2
    listing.write_bytes(listing.read_text(encoding="utf-8-sig").encode("utf-16"))
    with pytest.raises(ValueError, match=rf"{listing} is no UTF-8 text"):
        load("camvid", "train", root=tmp_path)


def test_an_empty_root_is_refused() -> None:
    with pytest.raises(ValueError, match="Option `root` is empty"):
        load("camvid", "train", root="")


def test_a_missing_folder_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=rf"no CamVid data folder {tmp_path / 'x'}\. Give"):
        load("camvid", "train", root=tmp_path / "x")


def test_a_missing_list_is_named(tmp_path: pathlib.Path) -> None:
    _make(tmp_path)
    with pytest.raises(ValueError, match=rf"'test' is missing: {tmp_path / 'test.txt'}"):
        load("camvid", "test", root=tmp_path)


def test_an_unknown_split_is_answered_with_the_nearest(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"'trian'; accepted: .*Did you mean 'train'\?"):
        load("camvid", "trian", root=tmp_path)


def test_a_list_without_lines_is_refused(tmp_path: pathlib.Path) -> None:
    _make(tmp_path)
    (tmp_path / "train.txt").write_text("")
    with pytest.raises(ValueError, match="camvid train has no example"):
        load("camvid", "train", root=tmp_path)


def test_a_line_without_a_label_map_is_named(tmp_path: pathlib.Path) -> None:
    _make(tmp_path)
    (tmp_path / "train.txt").write_text("/SegNet/CamVid/train/a.png\n")
    with pytest.raises(ValueError, match=r"train\.txt, line 1 holds 1 paths; accepted are two"):
        load("camvid", "train", root=tmp_path)


def test_an_image_without_its_label_map_is_named(tmp_path: pathlib.Path) -> None:
    _make(tmp_path)
    (tmp_path / "trainannot/b.png").unlink()
    message = (
        rf"line 2: image {tmp_path}/train/b\.png has no label map, {tmp_path}/trainannot/b\.png"
    )
    with pytest.raises(ValueError, match=message):
        load("camvid", "train", root=tmp_path)


def test_a_missing_image_is_named(tmp_path: pathlib.Path) -> None:
    _make(tmp_path)
    (tmp_path / "train/a.png").unlink()
    with pytest.raises(ValueError, match=rf"line 1 names an image .*: {tmp_path}/train/a\.png"):
        load("camvid", "train", root=tmp_path)


def test_sizes_that_differ_name_both_files(tmp_path: pathlib.Path) -> None:
    _make(tmp_path)
    Image.fromarray(LABELS[:, :2]).save(tmp_path / "trainannot/a.png")
    message = (
        rf"{tmp_path}/train/a\.png with {tmp_path}/trainannot/a\.png: .* 2 x 3, .* uint8 2 x 2"
    )
    with pytest.raises(ValueError, match=message):
        load("camvid", "train", root=tmp_path).read(0)


def test_labels_beyond_the_classes_name_the_file(tmp_path: pathlib.Path) -> None:
    _make(tmp_path)
    Image.fromarray(LABELS + np.uint8(4)).save(tmp_path / "trainannot/a.png")
    message = r"trainannot/a\.png: label 15 in 2 pixels; accepted are 0\.\.10 and 255"
    with pytest.raises(ValueError, match=message):
        load("camvid", "train", root=tmp_path).read(0)


@pytest.mark.parametrize("folder", ["train", "trainannot"])
def test_a_corrupt_file_is_named(tmp_path: pathlib.Path, folder: str) -> None:
    _make(tmp_path)
    path = tmp_path / folder / "a.png"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=rf"{path} \(\d+ bytes\) cannot be decoded"):
        load("camvid", "train", root=tmp_path).read(0)


@pytest.mark.data
def test_the_real_data(data_root: pathlib.Path) -> None:
    """367 and 101 images of 180 x 240, no frame in both, every class in a tenth of train."""
    train, val = (load("camvid", split, root=data_root / "CamVid") for split in ("train", "val"))
    assert (len(train), len(val)) == (367, 101)
    keys = Counter(data.key(index) for data in (train, val) for index in range(len(data)))
    assert max(keys.values()) == 1
    seen = np.zeros(256, bool)
    for index in range(0, len(train), 10):
        image, label = train.read(index)
        assert image.shape == (180, 240, 3)
        seen[label] = True
    assert set(np.flatnonzero(seen)) == {*range(11), 255}
