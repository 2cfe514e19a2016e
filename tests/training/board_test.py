"""Event files: what TensorBoard will find in them."""

import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfquantseg.training.board import Board


def _events(file: Path) -> list[tf.compat.v1.Event]:
    records = tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
    return [tf.compat.v1.Event.FromString(record) for record in records]


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_curves_by_name_and_step(tmp_path: Path) -> None:
    board = Board(tmp_path / "new" / "folder", 0)
    board.scalars(1, {"train/loss": 0.5, "train/learning_rate": 0.25})
    board.scalars(2, {"train/loss": 0.125})
    board.close()
    (file,) = _files(tmp_path / "new" / "folder")
    version, start, first, second = _events(file)
    assert version.file_version == "brain.Event:2"
    assert (start.step, start.session_log.status) == (1, tf.compat.v1.SessionLog.START)
    assert first.step == 1
    assert {value.tag: value.simple_value for value in first.summary.value} == {
        "train/loss": 0.5,
        "train/learning_rate": 0.25,
    }
    assert (second.step, second.summary.value[0].simple_value) == (2, 0.125)


def test_a_resumed_run_writes_a_later_file_that_drops_later_steps(tmp_path: Path) -> None:
    for done in (0, 7):
        Board(tmp_path, done).close()
    first, second = _files(tmp_path)
    assert first.name < second.name
    assert [_events(file)[1].step for file in (first, second)] == [1, 8]


def test_what_is_flushed_is_in_the_file(tmp_path: Path) -> None:
    board = Board(tmp_path, 0)
    board.scalars(1, {"loss": 0.5})
    board.flush()
    assert len(_events(_files(tmp_path)[0])) == 3


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "events.out.tfevents.0000000001").mkdir()
    with pytest.raises(OSError, match=r"tfevents.0000000001 cannot be written"):
        Board(tmp_path, 0)


def test_a_picture_is_a_png_of_its_size(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    board = Board(tmp_path, 0)
    board.picture(3, "val", Image.fromarray(pixels))
    board.close()
    (value,) = _events(_files(tmp_path)[0])[2].summary.value
    assert (value.tag, value.image.height, value.image.width) == ("val", 5, 7)
    decoded = Image.open(io.BytesIO(value.image.encoded_image_string))
    np.testing.assert_array_equal(np.asarray(decoded), pixels)


def test_a_table_keeps_its_lines(tmp_path: Path) -> None:
    board = Board(tmp_path, 0)
    board.table(0, "objects", "layer  bits\nstem   8\n")
    board.close()
    (value,) = _events(_files(tmp_path)[0])[2].summary.value
    assert value.metadata.plugin_data.plugin_name == "text"
    text = tf.make_ndarray(value.tensor)[0].decode()
    assert text == "    layer  bits\n    stem   8\n"
