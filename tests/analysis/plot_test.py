"""Plots: what is drawn stands where its numbers say."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.patches import Rectangle, StepPatch

from tfquantseg.analysis import plot
from tfquantseg.analysis.plot import COLOURS, Bar, Panel, Series, share


def drawn(series: Series, **changes: object) -> Axes:
    """The axes of one panel, from 0 to 10 and from 0 to 100."""
    panel = Panel(
        title="title", x="x", y="y", series=(series,), x_range=(0, 10), y_range=(0, 100), **changes
    )
    (axes,) = plot.panels("A figure", [panel]).axes
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 10), (0, 100))
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title("left")) == ("x", "y", "title")
    return axes


def test_a_line_goes_through_its_points() -> None:
    (line,) = drawn(Series(name="", kind="line", x=[0, 4, 10], y=[0, 90, 100])).lines
    assert line.get_xydata().tolist() == [[0, 0], [4, 90], [10, 100]]
    assert line.get_color() == share(COLOURS[0])


def test_a_histogram_has_its_edges_and_shares() -> None:
    axes = drawn(Series(name="", kind="steps", x=[0, 5, 10], y=[100, 50]))
    filled, outline = (patch for patch in axes.patches if isinstance(patch, StepPatch))
    assert (filled.get_fill(), outline.get_fill()) == (True, False)
    for patch in (filled, outline):
        values, edges, _ = patch.get_data()
        assert (list(values), list(edges)) == ([100, 50], [0, 5, 10])


def test_points_have_their_errors() -> None:
    axes = drawn(Series(name="", kind="points", x=[5], y=[50], errors=[20]))
    (error,) = (one for one in axes.collections if isinstance(one, LineCollection))
    assert error.get_segments()[0].tolist() == [[5, 30], [5, 70]]
    bare = drawn(Series(name="", kind="points", x=[5], y=[50]))
    assert not bare.collections
    assert bare.lines[0].get_marker() == "o"


def test_panels_stand_in_rows_and_notes_below() -> None:
    one = Panel(
        title="a", x="x", y="y", series=(Series(name="named", kind="line", x=[0, 1], y=[0, 1]),)
    )
    single = plot.image(plot.panels("One", [one]))
    assert plot.image(plot.panels("Two", [one, one])).width == 2 * single.width
    three = plot.panels("Three", [one, one, one])
    assert len(three.axes) == 3
    assert plot.image(three).height > 1.7 * single.height
    noted = plot.panels("One", [one], notes=["word " * 60])
    assert plot.image(noted).height > single.height
    assert noted.get_supxlabel().count("\n") == 2  # 300 letters, in lines of at most 110
    assert [text.get_text() for text in noted.axes[0].get_legend().get_texts()] == ["named"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"rules": ((5.0, "rule"),)}, [[5, 0], [5, 1]]),
        ({"levels": ((50.0, "level"),)}, [[0, 50], [1, 50]]),
    ],
)
def test_rules_and_levels_go_across(change: dict[str, object], line: list[list[float]]) -> None:
    axes = drawn(Series(name="", kind="line", x=[0, 10], y=[0, 100]), **change)
    assert axes.lines[-1].get_xydata().tolist() == line  # across in shares of the axis
    assert axes.texts[-1].get_text().strip() in ("rule", "level")


def test_text_stands_in_the_corner() -> None:
    axes = drawn(Series(name="", kind="line", x=[0, 10], y=[0, 100]), about=("one", "two"))
    assert [text.get_text() for text in axes.texts] == ["one\ntwo"]


@pytest.mark.parametrize("values", [[], [0.0], [3.0, 3.0], [float("nan")], [-1.0, 2.0]])
def test_every_range_can_be_drawn(values: list[float]) -> None:
    series = Series(name="", kind="line", x=range(len(values)), y=values)
    figure = plot.panels("Any", [Panel(title="", x="", y="", series=(series,))])
    assert np.asarray(plot.image(figure)).shape[2] == 3


def test_bars_are_as_long_as_their_values() -> None:
    lines = [Bar(name="one", value=100, colour=COLOURS[1]), Bar(name="half", value=50)]
    (axes,) = plot.bars("Bars", lines, "share", limits=(0, 100)).axes
    found = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert [patch.get_width() for patch in found] == [100, 50]
    assert [patch.get_facecolor()[:3] for patch in found] == [share(c) for c in COLOURS[1::-1]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "half"]
    assert axes.yaxis_inverted()  # the first is on top
    assert axes.get_xlim() == (0, 100)


def test_a_box_has_its_quartiles_and_its_whiskers() -> None:
    box = Bar(name="box", value=50, low=40, high=70, least=10, most=90)
    (axes,) = plot.bars("Box", [box], "value", limits=(0, 100)).axes
    ends = axes.patches[0].get_path().vertices[:, 0]
    assert (ends.min(), ends.max()) == (40, 70)
    across = [sorted(line.get_xdata()) for line in axes.lines]
    assert [10, 40] in across and [70, 90] in across  # whiskers
    assert [50, 50] in across  # the median
    assert not [one for one in axes.collections if isinstance(one, PathCollection)]
