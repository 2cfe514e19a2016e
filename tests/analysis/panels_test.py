"""Segmentations side by side."""

import numpy as np
import pytest

from tests.training import tiny
from tfquantseg.analysis.panels import panels


def test_each_run_stands_beside_the_truth() -> None:
    data = tiny.data([[[0, 0, 0, 1, 1, 1]] * 8] * 6)
    truth = np.array([[0, 0, 0, 1, 1, 1]] * 8, np.uint8)
    figure = panels({"right": lambda image: truth, "none": lambda image: 0 * truth}, data)
    # Of the first four examples; columns 1 to 4 lie within 2 pixels of the boundary.
    assert len(figure.rows) == 4 * 2
    assert figure.rows[0] == ("0", "right", 1.0, 1.0)
    assert figure.rows[1] == ("0", "none", pytest.approx(1 / 4), pytest.approx(1 / 4))
    one = panels({"right": lambda image: truth}, data)
    assert figure.picture.width > one.picture.width


def test_an_image_without_a_boundary_or_a_label_is_shown() -> None:
    data = tiny.data([[[0] * 6] * 8, [[255] * 6] * 8])
    figure = panels({"one": lambda image: np.zeros(image.shape[:2], np.uint8)}, data)
    assert figure.rows == (("0", "one", 1.0, ""), ("1", "one", "", ""))
