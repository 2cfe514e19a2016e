"""BroadcastLike: values, the error that comes back, and what it refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfquantseg.models.broadcast import BroadcastLike


def test_one_value_a_channel_at_every_position() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 1, 1, 3)
    y = BroadcastLike()([x, np.zeros((2, 4, 5, 7), np.float32)])
    np.testing.assert_array_equal(y, np.tile(x, (1, 4, 5, 1)))


def test_errors_of_all_positions_add_up() -> None:
    x = tf.Variable(np.ones((1, 1, 1, 2), np.float32))
    error = np.arange(24, dtype=np.float32).reshape(1, 3, 4, 2)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(BroadcastLike()([x, tf.zeros((1, 3, 4, 1))]) * error)
    expected = error.sum((1, 2), keepdims=True)
    np.testing.assert_array_equal(tape.gradient(loss, x), expected)


def test_any_size_in_a_model() -> None:
    image = keras.Input((None, None, 2))
    mean = keras.layers.GlobalAveragePooling2D(keepdims=True)(image)
    model = keras.Model(image, BroadcastLike()([mean, image]))
    assert model.output_shape == (None, None, None, 2)
    assert model(np.zeros((3, 5, 7, 2), np.float32)).shape == (3, 5, 7, 2)


def test_a_tensor_of_several_positions_is_refused() -> None:
    with pytest.raises(ValueError, match=r"x must be \[N, 1, 1, C\], received the shape \(2, 3"):
        BroadcastLike()([keras.KerasTensor((2, 3, 1, 4)), keras.KerasTensor((2, 3, 3, 4))])
