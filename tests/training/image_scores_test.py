"""Scores of a program that takes images of one size."""

import numpy as np
import pytest

from tests.training.tiny import config, data
from tfquantseg import metrics
from tfquantseg.training.image_scores import counts_of, images_of_size

DATA = data([[[0, 1, 1], [1, 0, 255]], [[1, 1], [0, 0], [0, 1]]])


def _config():
    tiny = config()
    tiny.data.fit = "crop"
    return tiny


def test_images_are_padded_to_one_size_with_mid_grey() -> None:
    (first, label), (second, _) = images_of_size(DATA, _config(), (3, 4))
    assert (first.dtype, first.shape, second.shape) == (np.uint8, (3, 4, 3), (3, 4, 3))
    assert first[..., 0].tolist() == [[0, 100, 100, 128], [100, 0, 1, 128], [128] * 4]
    assert label.tolist() == [[0, 1, 1], [1, 0, 255]]


def test_padding_counts_in_no_score() -> None:
    seen = []

    def predict(image: np.ndarray) -> np.ndarray:
        return (image[..., 0] >= 100).astype(int)  # padding would be class 1

    counts = counts_of(predict, DATA, _config(), (5, 7), seen=lambda: seen.append(1))
    assert counts.shape == (2, 2, 2)
    assert counts.sum() == 11
    assert metrics.scores(counts).miou == 1
    assert len(seen) == 2


def test_an_image_that_is_larger_is_named() -> None:
    with pytest.raises(ValueError, match="made example 1: 3 x 2 pixels are more than 2 x 4"):
        counts_of(lambda image: image[..., 0] // 200, DATA, _config(), (2, 4))
