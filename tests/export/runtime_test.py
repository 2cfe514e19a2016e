"""Files that run, and files that do not."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.export import every_operation, files
from tfquantseg.export.freeze import freeze
from tfquantseg.export.runtime import FileNetwork
from tfquantseg.export.tflite import write_tflite


@pytest.fixture(scope="module")
def content() -> bytes:
    """A file of the network of every operation."""
    return write_tflite(freeze(every_operation.trained(), *every_operation.SIZE))


def _float_file(model: keras.Model) -> bytes:
    return bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())


def test_it_says_what_it_takes(content: bytes, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.tflite").write_bytes(content)
    file = FileNetwork(tmp_path / "a.tflite")
    assert (file.size, file.classes) == (every_operation.SIZE, every_operation.CLASSES)
    logits = file(every_operation.images(1)[0])
    assert (logits.dtype, logits.shape) == (np.int8, (*every_operation.SIZE, 3))


def test_an_image_of_another_shape_or_type_is_refused(content: bytes) -> None:
    file = FileNetwork(content)
    for wrong in (np.zeros((24, 31, 3), np.uint8), np.zeros((24, 32, 3), np.float32)):
        with pytest.raises(ValueError, match=r"takes uint8 \(24, 32, 3\), received"):
            file(wrong)


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"PK" * 99]
)
def test_a_damaged_or_foreign_file_is_named(damage, content: bytes, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "damaged.tflite"
    path.write_bytes(damage(content))
    with pytest.raises(
        ValueError, match=r"damaged\.tflite can't be run: .*[^.]\. Give a \.tflite file"
    ):
        FileNetwork(path)


def test_a_float_file_is_no_int8_network() -> None:
    image = keras.Input((8, 8, 3), batch_size=1)
    file = _float_file(keras.Model(image, keras.layers.Conv2D(2, 1)(image)))
    with pytest.raises(ValueError, match=r"takes float32 \[1, 8, 8, 3\]; accepted is one image"):
        FileNetwork(file)


def test_an_open_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"leaves the size \[-1, 24, 32, 3\] open; accepted is"):
        FileNetwork(files.segmenter(batch=None))


def test_a_missing_delegate_is_named(content: bytes) -> None:
    with pytest.raises(
        ValueError, match=r"^The delegate 'libnone\.so\.1' can't be loaded "
    ) as told:
        FileNetwork(content, delegate="libnone.so.1")
    # The file is not at fault.
    assert str(told.value).endswith(
        "(for a Coral board the package libedgetpu1-std), or leave it out."
    )
