"""What a run shows in TensorBoard: curves, monitors, pictures and tables, as event files.

Event files are written without TensorBoard, which only whoever looks needs:

    pip install tensorboard
    tensorboard --logdir=WORKDIR/tensorboard
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import tensorflow as tf
from PIL import Image

_VERSION = "brain.Event:2"  # of the format of event files


class Board:
    """Writes one event file for each time that a run is started or resumed.

    Args:
        folder: Holds the files of a run; made if it does not exist.
        step: Steps done before. What earlier files hold of later steps is dropped by TensorBoard:
            a resumed run writes it again.

    Raises:
        OSError: The folder or file cannot be written.
    """

    def __init__(self, folder: Path, step: int) -> None:
        """Opens a file, named so that it comes after those that are there."""
        folder.mkdir(parents=True, exist_ok=True)
        number = sum(1 for _ in folder.glob("events.out.tfevents.*"))
        self._path = folder / f"events.out.tfevents.{number:010d}"
        with self._named():
            self._writer = tf.io.TFRecordWriter(str(self._path))
        start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
        self._write(tf.compat.v1.Event(wall_time=time.time(), file_version=_VERSION))
        self._write(tf.compat.v1.Event(wall_time=time.time(), step=step + 1, session_log=start))

    def close(self) -> None:
        """Closes the file."""
        with self._named():
            self._writer.close()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a point to each curve.

        Args:
            step: Steps done.
            values: By the curve's name; what stands before a slash groups curves.
        """
        self._summary(
            step,
            [tf.compat.v1.Summary.Value(tag=name, simple_value=v) for name, v in values.items()],
        )

    def picture(self, step: int, name: str, picture: Image.Image) -> None:
        """Shows a picture.

        Args:
            step: Steps done.
            name: Pictures of one name stand on one slider.
            picture: Of mode RGB.
        """
        png = io.BytesIO()
        picture.save(png, "PNG")
        shown = tf.compat.v1.Summary.Image(
            height=picture.height,
            width=picture.width,
            colorspace=3,
            encoded_image_string=png.getvalue(),
        )
        self._summary(step, [tf.compat.v1.Summary.Value(tag=name, image=shown)])

    def table(self, step: int, name: str, text: str) -> None:
        """Shows text as it is, in letters of one width.

        Args:
            step: Steps done.
            name: Of the table.
            text: Lines.
        """
        # TensorBoard reads Markdown, in which four spaces keep a line as it is.
        markdown = "".join(f"    {line}\n" for line in text.splitlines())
        value = tf.compat.v1.Summary.Value(tag=name, tensor=tf.make_tensor_proto([markdown]))
        value.metadata.plugin_data.plugin_name = "text"
        self._summary(step, [value])

    def flush(self) -> None:
        """Brings everything so far to the file."""
        with self._named():
            self._writer.flush()

    def _summary(self, step: int, values: list[tf.compat.v1.Summary.Value]) -> None:
        summary = tf.compat.v1.Summary(value=values)
        self._write(tf.compat.v1.Event(wall_time=time.time(), step=step, summary=summary))

    def _write(self, event: tf.compat.v1.Event) -> None:
        with self._named():
            self._writer.write(event.SerializeToString())

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Raises TensorFlow's errors as those of the file that they are."""
        try:
            yield
        except tf.errors.OpError as error:
            raise OSError(f"{self._path} cannot be written: {error.message}") from error
