"""MediaPipe's ImageSegmenter against LiteRT's default kernels, on a network that was trained."""

import keras
import mediapipe
import numpy as np
import pytest
from mediapipe.tasks import python as tasks

from tfquantseg import IntegerSGD, losses, preset, quantize
from tfquantseg.export import FileNetwork, freeze, with_segmenter_metadata, write_tflite

L = keras.layers
LABELS = ("red", "green", "blue", "grey")
SIZE = (64, 96)
_COLOURS = np.array([(200, 60, 60), (60, 200, 60), (60, 60, 200), (128, 128, 128)])


def _scenes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Blocks of 16 x 16 pixels in four noisy colours, and which colour each pixel has."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, len(LABELS), (count, SIZE[0] // 16, SIZE[1] // 16))
    labels = blocks.repeat(16, 1).repeat(16, 2).astype(np.int32)
    noise = random.integers(-40, 41, (*labels.shape, 3))
    return (_COLOURS[labels] + noise).astype(np.uint8), labels


@pytest.fixture(scope="module")
def content() -> bytes:
    """A file for MediaPipe of a network that tells the colours apart."""
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    x = L.Rescaling(1 / 128, offset=-1)(image)
    x = L.Conv2D(8, 3, padding="same", use_bias=False)(x)
    x = L.ReLU()(L.BatchNormalization()(x))
    x = L.Conv2D(16, 3, strides=2, padding="same", activation="relu")(x)
    x = L.UpSampling2D(2, interpolation="bilinear")(L.Conv2D(len(LABELS), 1)(x))
    model = quantize(keras.Model(image, x), preset("INTEGER"))
    model.compile(IntegerSGD(2**-4, momentum=0.875), losses.softmax_cross_entropy)
    images, labels = _scenes(64, seed=1)
    model.fit(images.astype(np.float32), labels, batch_size=8, epochs=12, verbose=0)
    of_bytes = write_tflite(freeze(model, *SIZE), "uint8")
    return with_segmenter_metadata(of_bytes, LABELS, activation="softmax")


def test_its_labels_and_its_mask(content: bytes) -> None:
    options = tasks.vision.ImageSegmenterOptions(
        base_options=tasks.BaseOptions(model_asset_buffer=content), output_category_mask=True
    )
    file = FileNetwork(content)
    same, right = [], []
    with tasks.vision.ImageSegmenter.create_from_options(options) as segmenter:
        assert segmenter.labels == list(LABELS)
        for image, label in zip(*_scenes(20, seed=2), strict=True):
            framed = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
            mask = segmenter.segment(framed).category_mask.numpy_view().copy().reshape(SIZE)
            same.append(mask == file.classify(image))
            right.append(mask == label)
    # MediaPipe brings kernels of its own, which round some logits to the neighbouring step; a
    # class changes only where two logits lie within a step or two.
    assert np.mean(same) >= 0.999
    # It has learned: a quarter would be chance. Bilinear enlargement blurs the blocks' borders.
    assert np.mean(right) > 0.9
