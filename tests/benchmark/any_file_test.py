"""Files of other converters class pixels as their own steps of the image say."""

import keras
import numpy as np
import pytest

from tests.training.networks import threshold
from tfquantseg.benchmark import stock
from tfquantseg.benchmark.any_file import AnyFile

# What TensorFlow's converter says when it is asked for int8 at both ends.
pytestmark = pytest.mark.filterwarnings("ignore:Statistics for quantized inputs:UserWarning")

SIZE = (4, 8)


def test_float32_and_int8_class_by_the_red_value() -> None:
    model = threshold(*SIZE)
    image = np.zeros((*SIZE, 3), np.uint8)
    image[..., 0] = np.arange(32).reshape(SIZE) * 8
    expected = image[..., 0] > 50
    file = AnyFile(stock.float32_file(model, SIZE), 1.0, 0.0)
    assert file.size == SIZE
    np.testing.assert_array_equal(file.classify(image), expected)
    # Ranges of 0..200 give the image another step and zero point than u - 128 would have.
    dark = np.linspace(0, 200, 4 * 96, dtype=np.float32).reshape(4, *SIZE, 3)
    quantized = AnyFile(stock.int8_file(model, dark, SIZE), 1.0, 0.0)
    # 48 and 56, nearest to the threshold, are 4 steps of 200/255 from 51: no rounding reaches it.
    shown = np.minimum(image, 200)
    np.testing.assert_array_equal(quantized.classify(shown), shown[..., 0] > 50)


def test_the_rescaling_is_that_of_the_network() -> None:
    image = np.full((*SIZE, 3), 60, np.uint8)
    content = stock.float32_file(threshold(*SIZE), SIZE)
    assert AnyFile(content, 1.0, 0.0).classify(image).all()
    assert not AnyFile(content, 0.5, 0.0).classify(image).any()  # 30
    assert AnyFile(content, 0.5, 30.0).classify(image).all()  # 60


def test_other_files_are_refused() -> None:
    with pytest.raises(ValueError, match="can't be run"):
        AnyFile(b"no file", 1.0, 0.0)
    image = keras.Input((*SIZE, 3))
    half = keras.Model(image, keras.layers.Conv2D(2, 1, strides=2)(image))
    with pytest.raises(ValueError, match=r"logits \[1, 2, 4, 2\] of images \[1, 4, 8, 3\]"):
        AnyFile(stock.float32_file(half, SIZE), 1.0, 0.0)
    mean = keras.Model(image, keras.layers.GlobalAveragePooling2D()(image))
    with pytest.raises(ValueError, match="accepted are one image"):
        AnyFile(stock.float32_file(mean, SIZE), 1.0, 0.0)
