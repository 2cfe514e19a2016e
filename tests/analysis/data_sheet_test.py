"""The sheet of a data set: which examples it shows, and what of them."""

import dataclasses

import numpy as np
import pytest

from tfquantseg.analysis.data_sheet import DataSheet
from tfquantseg.data import Example, Pair, SegmentationData

RED = (255, 0, 0)


def _data(count: int, size: tuple[int, int] = (4, 4)) -> SegmentationData:
    pair = Pair(np.zeros((*size, 3), np.uint8), np.ones(size, np.uint8))
    return SegmentationData(
        name="made",
        split="train",
        classes=("a", "b"),
        palette=((0, 0, 0), RED),
        examples=tuple(Example(f"{i}", f"{i}.png", lambda: pair) for i in range(count)),
    )


def _sheet(data: SegmentationData) -> DataSheet:
    sheet = DataSheet()
    for index in range(len(data)):
        sheet.add(data, index, data.read(index))
    return sheet


@pytest.mark.parametrize(("examples", "shown"), [(1, 1), (5, 5), (8, 8), (9, 8), (100, 8)])
def test_at_most_8_of_a_split_are_shown(examples: int, shown: int) -> None:
    assert len(_sheet(_data(examples))) == shown


def test_they_are_spread_evenly_and_what_cannot_be_read_is_left_out() -> None:
    data, sheet = _data(15), DataSheet()
    kept = []
    for index in range(15):
        before = len(sheet)
        sheet.add(data, index, None if index == 4 else data.read(index))
        kept += [index] * (len(sheet) - before)
    assert kept == [0, 2, 6, 8, 10, 12, 14]


def test_splits_follow_each_other() -> None:
    data, sheet = _data(2), DataSheet()
    for split in ("train", "val"):
        sheet.add(dataclasses.replace(data, split=split), 0, data.read(0))
    # Two tiles of 256 pixels beside each other, with gaps.
    assert sheet.image().width > 512


@pytest.mark.parametrize("size", [(4, 4), (600, 1000), (2, 3000)])
def test_colours_are_laid_over_images_of_any_size(size: tuple[int, int]) -> None:
    image = np.asarray(_sheet(_data(1, size)).image())
    # Red laid over black; paper and letters are grey.
    assert ((image[..., 0] > 100) & (image[..., 1:] == 0).all(-1)).sum() >= 256


def test_a_sheet_of_nothing_is_refused() -> None:
    assert not DataSheet()
    with pytest.raises(ValueError, match="at least one tile"):
        DataSheet().image()
