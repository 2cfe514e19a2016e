"""The contract of a data set: what reading checks, and how it says what is wrong."""

import dataclasses

import numpy as np
import pytest

from tfquantseg.data.segmentation import Example, Pair, SegmentationData


def _data(image: np.ndarray, label: np.ndarray) -> SegmentationData:
    return SegmentationData(
        name="made",
        split="train",
        classes=("a", "b"),
        palette=((0, 0, 0), (255, 255, 255)),
        examples=(Example("one", "one.png with one_label.png", lambda: Pair(image, label)),),
    )


def test_reading_returns_the_pair() -> None:
    image, label = np.full((3, 4, 3), 7, np.uint8), np.array([[0, 1, 255, 0]] * 3, np.uint8)
    data = _data(image, label)
    assert (len(data), data.key(0)) == (1, "one")
    read_image, read_label = data.read(0)
    np.testing.assert_array_equal(read_image, image)
    np.testing.assert_array_equal(read_label, label)


@pytest.mark.parametrize(
    ("image", "label", "message"),
    [
        (
            np.zeros((3, 4, 3), np.uint8),
            np.zeros((4, 3), np.uint8),
            r"3 x 4.*label map uint8 4 x 3",
        ),
        (np.zeros((3, 4, 3), np.uint8), np.zeros((3, 4), np.int32), r"label map int32"),
        (
            np.zeros((3, 4, 3), np.uint8),
            np.full((3, 4), 2, np.uint8),
            r"label 2 in 12 pixels.*0\.\.1",
        ),
        (np.zeros((0, 4, 3), np.uint8), np.zeros((0, 4), np.uint8), r"at least one pixel"),
        (np.zeros((3, 4), np.uint8), np.zeros((3, 4), np.uint8), r"uint8 \[3, 4\]; accepted is"),
        (np.zeros((3, 4, 4), np.uint8), np.zeros((3, 4), np.uint8), r"uint8 \[3, 4, 4\]"),
        (np.zeros((3, 4, 3), np.float32), np.zeros((3, 4), np.uint8), r"float32"),
    ],
)
def test_a_pair_that_breaks_the_contract_is_named(
    image: np.ndarray, label: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=r"one\.png with one_label\.png: .*" + message):
        _data(image, label).read(0)


def test_an_empty_split_is_refused() -> None:
    data = _data(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.uint8))
    with pytest.raises(ValueError, match="made train has no example"):
        dataclasses.replace(data, examples=())


def test_each_class_needs_a_colour() -> None:
    data = _data(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.uint8))
    with pytest.raises(ValueError, match="2 classes and 1 colours"):
        dataclasses.replace(data, palette=((0, 0, 0),))


def test_someone_must_decode() -> None:
    data = _data(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.uint8))
    with pytest.raises(ValueError, match="threads=0 is not accepted"):
        dataclasses.replace(data, threads=0)


def test_two_examples_of_one_key_are_refused_with_both_origins() -> None:
    data = _data(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.uint8))
    other = dataclasses.replace(data.examples[0], origin="two.png with two_label.png")
    with pytest.raises(ValueError, match=r"key 'one': one\.png with .*, and two\.png with "):
        dataclasses.replace(data, examples=(*data.examples, other))
