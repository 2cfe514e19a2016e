"""Median frequency balancing: weights computed by hand."""

import numpy as np
import pytest

from tests.training import tiny
from tfquantseg.data import class_weights

# Class 0 has 6 of 8 labelled pixels in one image and 8 of 8 in another: f = 14 / 16.
# Class 1 has 2 of the 8 labelled pixels of the only image it appears in: f = 2 / 8.
LABELS = [[[0, 0, 0, 255], [0, 0, 0, 255], [1, 1, 255, 255]], [[0, 0, 0, 0], [0, 0, 0, 0]]]


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_weights_are_the_median_frequency_over_each(exponent: float) -> None:
    weights = class_weights(tiny.data(LABELS), exponent)
    frequency = np.array([14 / 16, 2 / 8])
    expected = (np.median(frequency) / frequency) ** exponent
    np.testing.assert_allclose(weights, expected, rtol=1e-12)


def test_a_class_that_does_not_appear_weighs_one() -> None:
    weights = class_weights(tiny.data(LABELS, classes=3), 1.0)
    assert weights[2] == 1
    assert weights[:2] == class_weights(tiny.data(LABELS), 1.0)


@pytest.mark.parametrize("exponent", [-0.1, 1.5, float("nan")])
def test_an_exponent_out_of_range_is_refused(exponent: float) -> None:
    with pytest.raises(ValueError, match=f"from 0 to 1, received {exponent!r}"):
        class_weights(tiny.data(LABELS), exponent)
