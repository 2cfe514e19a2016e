"""Tensors without height or width, as images and back."""

import numpy as np
import pytest
import tensorflow as tf

from tfquantseg.layers.positions import as_rows, without_rows


@pytest.mark.parametrize(
    ("shape", "image"), [((2, 3), (2, 1, 1, 3)), ((2, 5, 3), (2, 1, 5, 3)), ((2, 4, 5, 3),) * 2]
)
def test_there_and_back(shape, image) -> None:
    x = tf.constant(np.arange(np.prod(shape), dtype=np.float32).reshape(shape))
    y = as_rows(x)
    assert y.shape == image
    np.testing.assert_array_equal(without_rows(y, x), x)


def test_what_is_not_known_before_it_runs() -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, None, 3])])
    def doubled(x):
        y = without_rows(tf.concat([as_rows(x)] * 2, -1), x)
        assert y.shape.as_list() == [None, None, 6]
        return y

    assert doubled(np.zeros((2, 5, 3), np.float32)).shape == (2, 5, 6)
