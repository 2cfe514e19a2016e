"""Generated colours: different, the same in every run, and far apart."""

import numpy as np
import pytest

from tfquantseg.data.palette import distinct_colours


def test_the_first_is_black_and_none_is_there_twice() -> None:
    colours = distinct_colours(256)
    assert colours[0] == (0, 0, 0)
    assert len(set(colours)) == 256


def test_a_class_keeps_its_colour_when_others_are_added() -> None:
    assert distinct_colours(256)[:21] == distinct_colours(21)
    assert distinct_colours(4) == ((0, 0, 0), (255, 255, 0), (255, 0, 255), (255, 0, 0))


# As far apart as no two colours of twice that step in each channel: seen at a glance for the usual
# numbers of classes, and still told apart in a legend for 150.
@pytest.mark.parametrize(("count", "step"), [(11, 80), (21, 60), (150, 20)])
def test_colours_are_far_apart(count: int, step: int) -> None:
    colours = np.array(distinct_colours(count))
    squares = ((colours[:, None] - colours) ** 2) @ [2, 4, 3]
    np.fill_diagonal(squares, 9 * 255**2)
    assert squares.min() >= 9 * step**2


def test_no_colour_but_the_first_is_grey() -> None:
    assert min(max(colour) - min(colour) for colour in distinct_colours(256)[1:]) >= 96
