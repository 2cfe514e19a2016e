"""Pictures and numbers of what objects cost."""

import numpy as np

from tfquantseg.analysis import sensitivity_figures
from tfquantseg.analysis.plot import COLOURS
from tfquantseg.analysis.sensitivity import BACKWARD, FORWARD, Finding

FINDINGS = (
    Finding("a", "W", loss=0.01, miou=-0.02),
    Finding("b", "A", loss=0.3, miou=-0.1),
    Finding("c", "A", loss=-0.1, miou=0.0),
    Finding("a", "E2", lost=0.1, cosine=0.8, error=0.4),
    Finding("b", "E1", lost=0.2),
)


def test_the_costliest_stand_first() -> None:
    assert [one.layer for one in sensitivity_figures.ranked(FINDINGS, FORWARD)] == ["b", "a", "c"]
    assert [one.layer for one in sensitivity_figures.ranked(FINDINGS, BACKWARD)] == ["b", "a"]


def test_figures_hold_all_numbers() -> None:
    one = sensitivity_figures.forward(FINDINGS, "A title", 0.5)
    assert one.columns == ("layer", "object", "loss_rise", "miou_change")
    assert one.rows == (("b", "A", 0.3, -0.1), ("a", "W", 0.01, -0.02), ("c", "A", -0.1, 0.0))
    other = sensitivity_figures.backward(FINDINGS, "A title")
    assert other.rows == (("b", "E1", 0.2, None, None), ("a", "E2", 0.1, 0.8, 0.4))
    assert (one.name, other.name) == sensitivity_figures.NAMES


def test_a_cost_below_zero_is_drawn_to_the_left() -> None:
    picture = np.asarray(sensitivity_figures.forward(FINDINGS, "A title", 0.5).picture)
    rows, columns = np.nonzero((picture == COLOURS[1]).all(-1))  # of A: b, and below it c
    first, last = columns[rows == rows.min()], columns[rows == rows.max()]
    assert last.max() <= first.min()
    # -0.1 is a third as long as 0.3, in pixels.
    assert abs(len(first) - 3 * len(last)) <= 6


def test_many_objects_are_cut_in_the_picture_alone() -> None:
    many = [Finding(f"layer{i}", "W", loss=i, miou=0.0) for i in range(60)]
    cut, more = (sensitivity_figures.forward(many[:n], "A title", 0.5) for n in (45, 60))
    assert (len(cut.rows), len(more.rows)) == (45, 60)
    assert cut.picture.height == more.picture.height
    assert sensitivity_figures.forward(many[:9], "A title", 0.5).picture.height < cut.picture.height
