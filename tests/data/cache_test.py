"""The memory of decoded examples: what is kept, and that nobody can change it."""

import functools

import numpy as np
import pytest

from tfquantseg.data.cache import in_memory
from tfquantseg.data.segmentation import Example, Pair, SegmentationData

BYTES = 2 * 2 * 4  # of one example


def _data(decoded: list[int]) -> SegmentationData:
    def decode(index: int) -> Pair:
        decoded.append(index)
        return Pair(np.full((2, 2, 3), index, np.uint8), np.zeros((2, 2), np.uint8))

    return SegmentationData(
        name="made",
        split="train",
        classes=("a",),
        palette=((0, 0, 0),),
        examples=tuple(
            Example(str(index), str(index), functools.partial(decode, index)) for index in range(3)
        ),
    )


@pytest.mark.parametrize(("limit", "kept"), [(0, 0), (2 * BYTES, 2), (3 * BYTES, 3)])
def test_examples_are_kept_up_to_the_limit(limit: int, kept: int) -> None:
    decoded: list[int] = []
    data = in_memory(_data(decoded), limit)
    assert decoded == []
    for _ in range(2):
        assert [data.read(index).image[0, 0, 0] for index in range(3)] == [0, 1, 2]
    assert decoded == [0, 1, 2, *range(kept, 3)]


def test_what_is_kept_cannot_be_written_to() -> None:
    data = in_memory(_data([]), 100)
    for _ in range(2):
        with pytest.raises(ValueError, match="read-only"):
            data.read(1).image[0] = 9
