"""What a survey counts, and that what is broken does not end it."""

import dataclasses

import numpy as np
import pytest

from tfquantseg.data.segmentation import Example, Pair, SegmentationData
from tfquantseg.data.survey import check_classes, survey, table


def _broken() -> Pair:
    raise ValueError("b.png is broken.")


def _pair(*labels: list[int]) -> Pair:
    label = np.array(labels, np.uint8)
    return Pair(np.zeros((*label.shape, 3), np.uint8), label)


DATA = SegmentationData(
    name="made",
    split="train",
    classes=("sky", "road", "car"),
    palette=((0, 0, 0), (1, 1, 1), (2, 2, 2)),
    examples=(
        Example("a", "a.png", lambda: _pair([0, 0, 255, 1])),
        Example("b", "b.png", _broken),
        Example("c", "c.png", lambda: _pair([0, 1], [1, 1], [1, 255])),
        Example("d", "d.png", lambda: _pair([0, 3])),
        Example("e", "e.png", lambda: _pair([255, 255, 255, 255])),
    ),
)


def test_what_is_counted() -> None:
    found = survey(DATA)
    assert found.examples == 5
    assert found.sizes == ((1, 4), (3, 2), (1, 4))
    assert found.pixels == (3, 5, 0)
    assert found.images == (2, 2, 0)
    assert found.ignored == 6
    assert found.ignored_share == 6 / 14
    assert found.shares() == (3 / 8, 5 / 8, 0)
    assert found.absent == ("car",)
    assert len(found.unreadable) == 2
    assert found.unreadable[0] == "b.png is broken."
    assert found.unreadable[1].startswith("d.png: label 3 in 1 pixels; accepted are 0..2")


def test_who_watches_sees_each_example() -> None:
    seen = []
    survey(DATA, lambda index, pair: seen.append((index, pair is None)))
    assert seen == [(0, False), (1, True), (2, False), (3, True), (4, False)]


def test_a_split_of_two_classes_is_read_no_further_than_to_see_them() -> None:
    check_classes(DATA)  # its second example cannot be read


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[0, 0], [0, 0]], "made, split train: the masks hold no two .* Give images that show"),
        ([[0, 255], [255, 0]], "if these masks are white on black, .* `data index-masks` makes"),
    ],
)
def test_a_split_of_one_class_is_refused(labels: list[list[int]], message: str) -> None:
    examples = tuple(
        Example(f"{i}", f"{i}.png", lambda row=row: _pair(row)) for i, row in enumerate(labels)
    )
    with pytest.raises(ValueError, match=message):
        check_classes(dataclasses.replace(DATA, examples=examples))


def test_json() -> None:
    assert survey(DATA).as_json() == {
        "examples": 5,
        "sizes": {
            "different": 2,
            "height": {"min": 1, "median": 1, "max": 3},
            "width": {"min": 2, "median": 4, "max": 4},
        },
        "classes": {
            "sky": {"pixels": 3, "share": 3 / 8, "images": 2},
            "road": {"pixels": 5, "share": 5 / 8, "images": 2},
            "car": {"pixels": 0, "share": 0, "images": 0},
        },
        "ignored": {"pixels": 6, "share": 6 / 14},
        "unreadable": list(survey(DATA).unreadable),
    }


def test_the_table_has_a_column_for_each_split() -> None:
    broken = dataclasses.replace(DATA, split="val", examples=DATA.examples[1:2])
    lines = table([survey(DATA), survey(broken)]).splitlines()
    assert [line.split() for line in lines if "-" * 9 not in line] == [
        ["train", "val"],
        ["images", "5", "1"],
        ["unreadable", "2", "1"],
        ["height:", "least,", "median,", "most", "1", "1", "3", "-"],
        ["width:", "least,", "median,", "most", "2", "4", "4", "-"],
        ["different", "sizes", "2", "0"],
        ["ignored", "pixels", "42.86%", "0.00%"],
        ["class:", "pixels,", "images"],
        ["0", "sky", "37.50%", "2", "-"],
        ["1", "road", "62.50%", "2", "-"],
        ["2", "car", "-", "-"],
    ]
    assert len({len(line) for line in lines[2:7]}) == 1


def test_an_error_of_the_program_is_not_noted_but_raised() -> None:
    def wrong() -> Pair:
        raise ZeroDivisionError

    data = dataclasses.replace(DATA, examples=(Example("a", "a.png", wrong),))
    with pytest.raises(ZeroDivisionError):
        survey(data)
