"""Plots: what is drawn stands where its numbers say."""

import numpy as np
import pytest
from PIL import Image

from tfquantseg.analysis import plot
from tfquantseg.analysis.plot import COLOURS, Bar, Panel, Series


def places(picture: Image.Image, colour: tuple[int, int, int]) -> np.ndarray:
    """Rows and columns of the pixels of a colour, [n, 2]."""
    return np.argwhere((np.asarray(picture) == colour).all(-1))


def panel(series: Series, **changes: object) -> Panel:
    """Axes from 0 to 10 and from 0 to 100."""
    return Panel(
        title="title", x="x", y="y", series=(series,), x_range=(0, 10), y_range=(0, 100), **changes
    )


def test_a_line_goes_from_point_to_point() -> None:
    line = Series(name="", kind="line", x=[0, 10], y=[0, 100])
    found = places(plot.panels("A line", [panel(line)]), COLOURS[0])
    (top, bottom), (left, right) = ((found[:, axis].min(), found[:, axis].max()) for axis in (0, 1))
    # From corner to corner of the inside, 380 x 230 pixels; the line is 2 wide.
    assert right - left == pytest.approx(380, abs=2)
    assert bottom - top == pytest.approx(230, abs=2)
    rising = (
        found[found[:, 1] < left + 20][:, 0].mean() - found[found[:, 1] > right - 20][:, 0].mean()
    )
    assert rising == pytest.approx(230 * 360 / 380, abs=3)


def test_a_histogram_is_as_high_as_its_shares() -> None:
    steps = Series(name="", kind="steps", x=[0, 5, 10], y=[100, 50])
    found = places(plot.panels("Steps", [panel(steps)]), COLOURS[0])
    left, right = found[:, 1].min(), found[:, 1].max()
    first = found[found[:, 1] < (left + right) / 2 - 5][:, 0].min()
    second = found[found[:, 1] > (left + right) / 2 + 5][:, 0].min()
    assert second - first == pytest.approx(115, abs=2)  # half of 230, by a line of 2


def test_points_have_their_errors() -> None:
    points = Series(name="", kind="points", x=[5], y=[50], errors=[20])
    found = places(plot.panels("Points", [panel(points)]), COLOURS[0])
    assert found[:, 0].max() - found[:, 0].min() == pytest.approx(0.4 * 230, abs=2)


def test_what_lies_outside_is_drawn_at_the_edge() -> None:
    line = Series(name="", kind="line", x=[0, 10], y=[0, 1000])
    found = places(plot.panels("Outside", [panel(line)]), COLOURS[0])
    assert found[:, 0].max() - found[:, 0].min() == pytest.approx(230, abs=2)


def test_panels_stand_in_rows_and_notes_below() -> None:
    one = panel(Series(name="named", kind="line", x=[0, 1], y=[0, 1]))
    single = plot.panels("One", [one])
    assert plot.panels("Two", [one, one]).width > 1.8 * single.width
    below = plot.panels("Three", [one, one, one])
    assert below.height > 1.7 * single.height
    assert plot.panels("One", [one], notes=["word " * 60]).height >= single.height + 60


def test_rules_levels_and_text_are_drawn() -> None:
    bare = panel(Series(name="", kind="line", x=[0, 10], y=[0, 100]))
    for change in ({"rules": ((5.0, "rule"),)}, {"levels": ((50.0, "level"),)}, {"about": ("x",)}):
        more = panel(bare.series[0], **change)
        pictures = [np.asarray(plot.panels("Same", [one])) for one in (bare, more)]
        assert (pictures[0] != pictures[1]).any(), change


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 10.0, [0, 2, 4, 6, 8, 10]),
        (-12.0, 4.0, [-10, -5, 0]),
        (0.0, 0.5, [0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        (87.1, 88.2, [87.5, 88]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    # Multiples of a step are rounded once each.
    assert plot._ticks(low, high) == pytest.approx(expected, rel=1e-12)


def test_a_range_is_never_of_no_length() -> None:
    for values in ([], [0.0], [3.0, 3.0], [float("nan")], [-1.0, 2.0]):
        low, high = plot._spread(values)
        assert low < high


def test_bars_are_as_long_as_their_values() -> None:
    lines = [Bar(name="one", value=100, colour=COLOURS[1]), Bar(name="half", value=50)]
    picture = plot.bars("Bars", lines, "share", limits=(0, 100))
    lengths = [np.ptp(places(picture, colour)[:, 1]) for colour in (COLOURS[1], COLOURS[0])]
    assert lengths == pytest.approx([760, 380], abs=1)


def test_a_box_has_its_quartiles_and_its_whisker() -> None:
    box = Bar(name="box", value=50, low=40, high=70, least=10, most=90)
    found = places(plot.bars("Box", [box], "value", limits=(0, 100)), COLOURS[0])
    assert np.ptp(found[:, 1]) == pytest.approx(0.8 * 760, abs=1)  # the whisker
    upper = found[found[:, 0] == found[:, 0].min()]
    assert np.ptp(upper[:, 1]) == pytest.approx(0.3 * 760, abs=1)  # the box
