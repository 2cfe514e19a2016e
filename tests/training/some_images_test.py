"""Some examples of a split, evenly spread."""

import numpy as np

from tests.training import tiny
from tfquantseg.training.some_images import evenly, some_images


def test_examples_are_spread_from_the_first_to_the_last() -> None:
    data = tiny.data([[[0, 1]]] * 7)
    assert [one.key for one in evenly(data, 3).examples] == ["0", "3", "6"]
    assert [one.key for one in evenly(data, 1).examples] == ["0"]
    assert [one.key for one in evenly(data, 9).examples] == [str(i) for i in range(7)]


def test_images_are_bytes_as_evaluation_sees_them() -> None:
    data = tiny.data([[[0, 1]], [[1, 1]], [[0, 0]]])
    config = tiny.config()
    first, last = some_images(data, config, 2)
    assert first.dtype == np.uint8
    assert first.shape == (8, 8, 3)  # padded to the recipe's multiple, with mid-grey
    assert first[0, :3, 0].tolist() == [0, 100, 128]
    assert last[0, :3, 0].tolist() == [0, 0, 128]
