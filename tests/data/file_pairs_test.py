"""Images and masks of one name."""

from pathlib import Path

import pytest
from PIL import Image

from tfquantseg.data import file_pairs
from tfquantseg.data.segmentation import Example, SegmentationData


def test_pairs_come_in_the_order_of_their_names() -> None:
    images = {"b": Path("b.jpg"), "a": Path("a.jpg")}
    masks = {"a": Path("a.png"), "b": Path("b.png")}
    assert file_pairs.match(images, masks, "here", "") == [
        (Path("a.jpg"), Path("a.png")),
        (Path("b.jpg"), Path("b.png")),
    ]


def test_what_has_no_partner_is_named_on_both_sides() -> None:
    images = {name: Path(f"{name}.jpg") for name in "ab"}
    masks = {name: Path(f"{name}.png") for name in "bcd"}
    message = (
        r"here do not match: 1 of 2 images have no mask \(a\.jpg\), and 2 of 3 masks have no image "
        r"\(c\.png, d\.png\)\. Do this\."
    )
    with pytest.raises(ValueError, match=message):
        file_pairs.match(images, masks, "here", "Do this.")


def test_examples_are_called_as_their_images_and_read_both_files() -> None:
    read: list[tuple[Path, Path]] = []
    pairs = [(Path("x/a.jpg"), Path("y/a.png")), (Path("x/b.jpg"), Path("y/b.png"))]
    made = file_pairs.examples(pairs, lambda *files: read.append(files))
    assert [example.key for example in made] == ["a", "b"]
    assert made[1].origin == "x/b.jpg with y/b.png"
    made[1].decode()
    assert read == [pairs[1]]
    assert [example.files for example in made] == pairs


def _files(folder: Path, *sizes: tuple[tuple[int, int], tuple[int, int]]) -> SegmentationData:
    """A split whose images and masks have these sizes, height x width, which nothing can decode."""
    pairs = []
    for number, of_both in enumerate(sizes):
        pair = (folder / f"{number}.jpg", folder / f"{number}.png")
        for path, (height, width) in zip(pair, of_both, strict=True):
            Image.new("L", (width, height)).save(path)
        pairs.append(pair)
    examples = file_pairs.examples(pairs, lambda image, mask: pytest.fail("it was decoded"))
    return SegmentationData("made", "val", ("a", "b"), ((0, 0, 0), (9, 9, 9)), examples)


def test_masks_of_another_size_are_named_before_any_is_decoded(tmp_path: Path) -> None:
    file_pairs.check_sizes(_files(tmp_path, ((3, 4), (3, 4)), ((5, 2), (5, 2))))
    data = _files(tmp_path, ((3, 4), (3, 4)), ((3, 4), (2, 4)), ((3, 4), (6, 8)))
    message = (
        r"^Data set made, split val: 2 of 3 masks have another size \(height x width\) than their "
        rf"images: {tmp_path}/1\.jpg is 3 x 4 and {tmp_path}/1\.png 2 x 4, {tmp_path}/2\.jpg is "
        rf"3 x 4 and {tmp_path}/2\.png 6 x 8\. Save each mask at the size of its image, by nearest "
        r"neighbour: what mixes neighbouring pixels makes other labels\.$"
    )
    with pytest.raises(ValueError, match=message):
        file_pairs.check_sizes(data)


def test_an_image_that_lies_on_its_side_is_told_so(tmp_path: Path) -> None:
    data = _files(tmp_path, ((3, 4), (4, 3)))
    with pytest.raises(ValueError, match=r"is 3 x 4 and .*0\.png 4 x 3\. .*noted in the image"):
        file_pairs.check_sizes(data)


def test_a_file_without_a_size_is_named(tmp_path: Path) -> None:
    data = _files(tmp_path, ((3, 4), (3, 4)))
    (tmp_path / "0.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"0\.png \(8 bytes\) cannot be decoded: it begins like"):
        file_pairs.check_sizes(data)
    (tmp_path / "0.jpg").unlink()
    with pytest.raises(ValueError, match=r"0\.jpg cannot be read: No such file or directory"):
        file_pairs.check_sizes(data)


def test_examples_that_are_made_of_no_files_are_left_alone() -> None:
    made = Example("a", "a", lambda: pytest.fail("it was decoded"))
    data = SegmentationData("made", "val", ("a",), ((0, 0, 0),), (made,))
    file_pairs.check_sizes(data)
