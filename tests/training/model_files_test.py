"""Files of models: what loads, and how all else is refused."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from tests.training import tiny
from tests.training.networks import threshold
from tfquantseg.models.broadcast import BroadcastLike
from tfquantseg.training import model_files, parts

IMAGE = keras.Input((None, None, 3), name="image")
GREY = keras.Input((None, None, 1), name="grey")


def _saved(path: Path, outputs: Any, inputs: Any = IMAGE) -> Path:
    keras.Model(inputs, outputs, name="mine").save(path / "mine.keras")
    return path / "mine.keras"


def test_a_quantized_model_is_loaded_with_its_weights(tmp_path: Path) -> None:
    model = parts.model(tiny.config(), classes=3)
    model.save(tmp_path / "integer.keras")
    loaded = model_files.load(tmp_path / "integer.keras")
    image = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3)).astype(np.float32)
    np.testing.assert_array_equal(loaded(image), model(image))


def test_the_models_own_layers_are_loaded(tmp_path: Path) -> None:
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(IMAGE)
    path = _saved(tmp_path, BroadcastLike()([pooled, IMAGE]))
    assert model_files.load(path).output_shape == (None, None, None, 3)


def test_a_sequential_model_is_loaded(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(5, 1)])
    model.save(tmp_path / "a.keras")
    assert model_files.load(tmp_path / "a.keras").output_shape == (None, 8, 8, 5)


class _Unknown(layers.Layer):
    def call(self, x: Any) -> Any:
        return x


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        (IMAGE, _Unknown()(IMAGE), "cannot be loaded: Could not locate class '_Unknown'. Accepted"),
        (IMAGE, layers.Lambda(lambda x: x)(IMAGE), "cannot be loaded: .*`Lambda` layer"),
        (
            IMAGE,
            layers.Conv2D(1, 1)(IMAGE),
            r"returns \[\?, \?, \?, 1\].* C from 2 to 256 .*One ch",
        ),
        (IMAGE, layers.Conv2D(257, 1)(IMAGE), r"returns \[\?, \?, \?, 257\].*2 to 256 classes\.$"),
        (IMAGE, layers.Flatten()(layers.Resizing(2, 2)(IMAGE)), r"returns \[\?, 12\]; accepted is"),
        (
            IMAGE,
            [layers.Conv2D(2, 1)(IMAGE), layers.Conv2D(3, 1)(IMAGE)],
            r"returns \[\?, \?, \?, 2\] and \[\?, \?, \?, 3\]; accepted is one output",
        ),
        (GREY, layers.Conv2D(2, 1)(GREY), r"takes \[\?, \?, \?, 1\]; accepted is one input \[N, H"),
        (
            [IMAGE, GREY],
            layers.Concatenate()([IMAGE, GREY]),
            r"takes \[\?, \?, \?, 3\] and \[\?, \?, \?, 1\]; accepted is one input",
        ),
    ],
)
def test_a_model_that_segments_no_images_is_refused(
    tmp_path: Path, inputs: Any, outputs: Any, message: str
) -> None:
    path = _saved(tmp_path, outputs, inputs)
    with pytest.raises(ValueError, match=rf"{path}.* {message}"):
        model_files.load(path)


def test_a_batch_of_one_number_is_refused_unless_it_is_one() -> None:
    one, two = (keras.Input((8, 8, 3), batch_size=size) for size in (1, 2))
    model_files.check_segments(keras.Model(one, one))
    with pytest.raises(ValueError, match=r"takes \[2, 8, 8, 3\].*of any N or 1"):
        model_files.check_segments(keras.Model(two, two))


def test_a_model_that_is_not_built_is_refused() -> None:
    with pytest.raises(ValueError, match="takes what is known only once it is called"):
        model_files.check_segments(keras.Sequential([layers.Conv2D(2, 1)]))


def test_what_is_no_file_of_a_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.keras"
    with pytest.raises(ValueError, match=f"There is no model {path}"):
        model_files.load(path)
    with pytest.raises(ValueError, match=f"{tmp_path} is a folder.* --workdir"):
        model_files.load(tmp_path)
    path.write_text("no archive")
    with pytest.raises(ValueError, match=f"{path} cannot be loaded: a.keras is missing or incompl"):
        model_files.load(path)
    (tmp_path / "a.h5").write_text("")
    with pytest.raises(ValueError, match=r"a\.h5 has the ending '\.h5'; accepted is \.keras"):
        model_files.load(tmp_path / "a.h5")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    threshold().save(tmp_path / "a.keras")
    whole = (tmp_path / "a.keras").read_bytes()
    (tmp_path / "a.keras").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"a\.keras cannot be loaded: a\.keras is missing or inc"):
        model_files.load(tmp_path / "a.keras")
    # A byte of the weights: the checksum of the archive tells.
    place = whole.index(b"\x00\x00\x48\x42")  # 50.0
    (tmp_path / "a.keras").write_bytes(whole[:place] + b"\x01" + whole[place + 1 :])
    with pytest.raises(ValueError, match=r"a\.keras cannot be loaded: "):
        model_files.load(tmp_path / "a.keras")
