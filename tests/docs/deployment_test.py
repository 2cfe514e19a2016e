"""The page on devices: its Python runs, but for the lines that need a board."""

import pathlib
import re
from typing import Any

import keras
import numpy as np
import pytest
from PIL import ExifTags, Image

from tests.export import every_operation
from tfquantseg import preset, quantize
from tfquantseg.data.image_files import read_image
from tfquantseg.data.pipeline import resize_image
from tfquantseg.export import FileNetwork, at_stride, freeze, with_segmenter_metadata, write_tflite
from tfquantseg.layers import QuantConv2D, QuantDepthwiseConv2D
from tfquantseg.training.prediction import FixedSizePredictor

_PAGE = pathlib.Path("docs/deployment.md").read_text()
_BLOCKS = re.findall(r"```python\n(.*?)```", _PAGE, re.DOTALL)
_LABELS = ("ground", "left", "right")


@pytest.fixture
def here(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A current folder with what the page's lines read."""
    network = freeze(every_operation.trained(), *every_operation.SIZE)
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "model_int8.tflite").write_bytes(write_tflite(network))
    of_bytes = with_segmenter_metadata(
        write_tflite(network, "uint8"), _LABELS, activation="softmax"
    )
    (tmp_path / "export" / "model_uint8.tflite").write_bytes(of_bytes)
    Image.fromarray(every_operation.images(1)[0]).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _run(marker: str, before: dict[str, Any] | None = None) -> dict[str, Any]:
    (code,) = [block for block in _BLOCKS if marker in block and "on the board" not in block]
    names = dict(before or {})
    exec(compile(code, "deployment.md", "exec"), names)
    return names


def test_litert_and_mediapipe_see_the_same_classes(here: pathlib.Path) -> None:
    ran = _run("Interpreter(")
    logits = ran["interpreter"].get_tensor(ran["logits"]["index"])[0]
    found = _run("ImageSegmenter")
    assert found["labels"] == list(_LABELS)
    mask = np.asarray(found["mask"]).reshape(every_operation.SIZE)
    # The photo has the network's size, so nothing is scaled, and both run the same kernels; of
    # equal logits MediaPipe may take another.
    taken = np.take_along_axis(logits, mask[..., np.newaxis].astype(np.int64), -1)[..., 0]
    np.testing.assert_array_equal(taken, logits.max(-1))
    assert np.mean(mask == ran["classes"]) > 0.98


def test_litert_in_python_reads_a_photo_as_predict_does(here: pathlib.Path) -> None:
    network = FileNetwork(here / "export" / "model_int8.tflite")
    height, width = every_operation.SIZE
    # Of other sides than the file's, and lying on its side as a camera stores it.
    stored = np.random.default_rng(1).integers(0, 256, (width - 8, height - 8, 3), np.uint8)
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    Image.fromarray(stored).save(here / "photo.png", exif=turned)
    photo = read_image(here / "photo.png", upright=True)
    scaled = _run("Interpreter(")
    np.testing.assert_array_equal(
        scaled["classes"], network.classify(resize_image(photo, network.size))
    )
    padding = FixedSizePredictor(network.classify, network.size, classes=3, resizes=False)
    np.testing.assert_array_equal(_run("np.full(", scaled)["classes"], padding(photo))


def test_small_logits_are_enlarged_as_the_network_would(here: pathlib.Path) -> None:
    image = keras.Input((64, 48, 3))
    x = keras.layers.Rescaling(1 / 128, offset=-1)(image)
    x = keras.layers.Conv2D(3, 8, strides=8, padding="same")(x)
    x = keras.layers.UpSampling2D(8, interpolation="bilinear")(x)
    model = quantize(keras.Model(image, x), preset("INTEGER"))
    photo = np.random.default_rng(2).integers(0, 256, (64, 48, 3), np.uint8)
    model(photo[np.newaxis].astype(np.float32), training=True)
    file = here / "export" / "model_int8.tflite"
    file.write_bytes(write_tflite(at_stride(freeze(model, 64, 48))))
    Image.fromarray(photo).save(here / "photo.png")
    found = _run("moveaxis", _run("Interpreter("))
    assert found["small"].shape == (8, 6, 3)
    assert len(np.unique(found["classes"])) == 3
    # By 8, weights are multiples of 1/16 and products of int8 exact: no rounding, the same ties.
    np.testing.assert_array_equal(found["classes"], FileNetwork(file).classify(photo))


def test_two_images_and_two_outputs_become_a_certified_file() -> None:
    photo, depth = keras.Input((16, 16, 3), name="photo"), keras.Input((16, 16, 1), name="depth")
    grids = [keras.layers.Rescaling(1 / 128, offset=-1)(image) for image in (photo, depth)]
    x = keras.layers.Concatenate()([keras.layers.Conv2D(4, 1)(grid) for grid in grids])
    model = quantize(
        keras.Model([photo, depth], [keras.layers.Conv2D(2, 1)(x), keras.layers.ReLU()(x)]),
        preset("INTEGER"),
    )
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (16, 16, channels)).astype(np.uint8) for channels in (3, 1)]
    model([image[np.newaxis].astype(np.float32) for image in images], training=True)
    ran = _run("certify(", {"model": model, "photo": images[0], "depth": images[1]})
    assert len(ran["network"].outputs) == 2
    assert ran["certificate"].file_twin.most == 0


def test_every_block_is_run_or_needs_a_board() -> None:
    assert ["on the board" in block for block in _BLOCKS] == [
        False,
        False,
        False,
        False,
        True,
        False,
        False,
    ]


def test_a_network_of_keras_applications_is_quantized() -> None:
    model = _run("keras.applications")["model"]
    kinds = (QuantConv2D, QuantDepthwiseConv2D)
    assert sum(isinstance(layer, kinds) for layer in model.layers) == 52 + 1  # and the head
    assert model.output_shape == (None, 7, 7, 5)
