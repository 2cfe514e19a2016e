"""What a model sees in images of any size."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training import tiny
from tests.training.networks import threshold
from tfquantseg import metrics
from tfquantseg.layers import QuantEdge
from tfquantseg.training import parts, prediction
from tfquantseg.training.evaluation import Evaluator
from tfquantseg.training.prediction import Predictor

RANDOM = np.random.default_rng(5)


def _image(height: int, width: int) -> np.ndarray:
    return RANDOM.integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 16), (17, 2)])
def test_an_image_of_any_size_gets_a_class_for_each_pixel(size: tuple[int, int]) -> None:
    image = _image(*size)
    label = Predictor(threshold())(image)
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, image[..., 0] > 50)


def test_it_is_padded_with_grey_to_the_stride_and_cropped_back() -> None:
    # Of the second and third block of 4 x 4 only a part is image; the rest, 128, is class 1.
    label = Predictor(threshold(stride=4))(np.zeros((4, 9, 3), np.uint8))
    np.testing.assert_array_equal(label, [[0] * 8 + [1]] * 4)


class _Witness(keras.layers.Layer):
    """Remembers the sizes of the images that it passes on; 64 rows do not fit its memory."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, ...]] = []

    def call(self, x: Any) -> Any:
        self.seen.append(tuple(x.shape[1:3]))
        if x.shape[1] == 64:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def _witnessed() -> tuple[keras.Model, _Witness]:
    image, witness = keras.Input((None, None, 3)), _Witness()
    return keras.Model(image, witness(image)), witness


def test_it_is_padded_to_a_multiple_that_is_asked_for() -> None:
    model, witness = _witnessed()
    Predictor(model, multiple=6)(np.zeros((4, 13, 3), np.uint8))
    assert witness.seen[-1] == (6, 18)


def test_an_image_is_scaled_to_the_size_of_training_and_its_classes_back() -> None:
    image = np.zeros((8, 12, 3), np.uint8)
    image[2:6, 3:9] = 120
    label = Predictor(threshold(), resize=(16, 24))(image)
    # Bilinear between 120 and 0 there are 90 and 30: on the same side of 50 as their own pixel.
    np.testing.assert_array_equal(label, image[..., 0] == 120)
    witnessed, witness = _witnessed()
    assert Predictor(witnessed, resize=(16, 24))(image).shape == (8, 12)
    assert witness.seen[-1] == (16, 24)


def test_a_model_of_one_size_takes_smaller_images_too() -> None:
    predictor, image = Predictor(threshold(6, 8)), _image(5, 8)
    np.testing.assert_array_equal(predictor(image), image[..., 0] > 50)
    with pytest.raises(ValueError, match=r"7 x 8 pixels are more than the 6 x 8 that model 'thres"):
        predictor(_image(7, 8))
    with pytest.raises(ValueError, match=r"1 x 9 pixels are more than the any x 8"):
        Predictor(threshold(None, 8))(_image(1, 9))


def test_an_image_too_small_is_refused() -> None:
    # Without padding, five 3 x 3 convolutions leave nothing of 8 pixels, and 6 of 16.
    image = keras.Input((None, None, 3))
    x = image
    for _ in range(5):
        x = keras.layers.Conv2D(2, 3)(x)
    model = keras.Model(image, keras.layers.ZeroPadding2D(5)(x), name="valid")
    predictor = Predictor(model)
    assert predictor(_image(16, 24)).shape == (16, 24)
    with pytest.raises(ValueError, match=r"8 x 16 pixels, padded to 8 x 16, are too few for model"):
        predictor(_image(8, 16))


def test_an_image_too_large_for_the_memory_is_refused() -> None:
    predictor = Predictor(_witnessed()[0])
    assert predictor(_image(63, 7)).shape == (63, 7)
    with pytest.raises(ValueError, match="64 x 7 pixels need more memory than there is"):
        predictor(_image(64, 7))


def test_logits_of_another_size_are_refused() -> None:
    image = keras.Input((None, None, 3))
    model = keras.Model(image, keras.layers.Conv2D(2, 1, strides=4)(image), name="quarter")
    with pytest.raises(ValueError, match=r"'quarter' returns logits of another size .*Resizing"):
        Predictor(model)


def test_a_model_that_segments_nothing_is_refused() -> None:
    image = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    with pytest.raises(ValueError, match=r"returns \[\?, 3\]; accepted is one output \[N, H, W, C"):
        Predictor(keras.Model(image, pooled))


@pytest.fixture(scope="module")
def integer() -> keras.Model:
    """A network quantized in part, with random weights and running scales."""
    keras.utils.set_random_seed(2)
    model = parts.model(tiny.config(), classes=3)
    model(RANDOM.integers(0, 256, (2, 16, 16, 3)).astype(np.float32), training=True)
    return model


def test_many_images_of_one_size_are_predicted_as_few(integer: keras.Model) -> None:
    predictor, image = Predictor(integer), _image(13, 22)
    assert predictor.classes == 3
    labels = [predictor(image) for _ in range(prediction._TRACED_AFTER + 2)]
    assert len(np.unique(labels[0])) > 1
    for label in labels[1:]:
        np.testing.assert_array_equal(label, labels[0])


def test_evaluation_counts_what_is_predicted(integer: keras.Model) -> None:
    labels = [[[0, 1, 1, 0, 255]] * 3, [[1, 0, 1, 1, 1]] * 9]
    data = tiny.data(labels, classes=3)
    config = tiny.config()
    config.data.update({"multiple": 16, "batch": 1})
    predictor = Predictor(integer, multiple=16)
    counted = [
        metrics.confusion_matrices(label[None].astype(int), predictor(image)[None], 3, 255)[0]
        for image, label in (data.read(index) for index in range(2))
    ]
    np.testing.assert_array_equal(Evaluator(integer, data, config).counts(), counted)


def test_the_scales_that_are_asked_for_are_used(integer: keras.Model) -> None:
    edges = [layer for layer in integer.layers if isinstance(layer, QuantEdge)]
    assert Predictor(integer, scales="dynamic").scales == "dynamic"
    assert {edge.evaluation_scales for edge in edges} == {"dynamic"}
    Predictor(integer)
    assert {edge.evaluation_scales for edge in edges} == {"running"}
    with pytest.raises(ValueError, match="received 'static'"):
        Predictor(integer, scales="static")  # type: ignore[arg-type]
