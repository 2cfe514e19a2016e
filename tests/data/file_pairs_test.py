"""Images and masks of one name."""

from pathlib import Path

import pytest

from tfquantseg.data import file_pairs


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
