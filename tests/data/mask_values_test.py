"""Labels of bytes by a table."""

from pathlib import Path

import numpy as np
import pytest

from tfquantseg.data import mask_values


def _labels(values: list[int]) -> list[int]:
    return mask_values.to_labels(
        np.array([values], np.uint8),
        {0: 255, 7: 0, 255: 3},
        mask=Path("a.png"),
        accepted="0, 7 and 255",
        advice="Replace it.",
    )[0].tolist()


def test_each_byte_gets_its_label() -> None:
    assert _labels([7, 0, 255, 7]) == [0, 255, 3, 0]


def test_a_byte_that_means_nothing_is_named_with_its_pixels() -> None:
    message = (
        r"a\.png holds values that mean nothing here: 1 \(1 pixels\), 8 \(2 pixels\); accepted are "
        r"0, 7 and 255\. Replace it\."
    )
    with pytest.raises(ValueError, match=message):
        _labels([8, 7, 1, 8])
