"""LeanReLU is Keras's ReLU with less memory."""

import keras
import numpy as np
import pytest

from tfquantseg.layers import LeanReLU


@pytest.mark.parametrize("most", [None, 6.0])
def test_equals_keras(most):
    x = np.linspace(-3, 9, 25, dtype=np.float32).reshape(5, 5)
    np.testing.assert_array_equal(LeanReLU(most)(x), keras.layers.ReLU(most)(x))


def test_comes_back_from_its_config():
    layer = LeanReLU(6.0, name="a")
    copy = LeanReLU.from_config(layer.get_config())
    assert isinstance(copy, LeanReLU) and copy.max_value == 6.0 and copy.name == "a"
