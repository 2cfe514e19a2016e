"""Runs a segmentation file with LiteRT."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfquantseg.export.graph_file import graph_of
from tfquantseg.export.program import FileProgram, Kernels


class FileNetwork:
    """An int8 segmentation file, run image by image.

    Args:
        content: this and all that follow as `FileProgram` takes them.
        kernels: "default" or "reference".
        delegate: a library's name.
        keeps_tensors: for `tensor`.

    Raises:
        ValueError: as of `FileProgram`; or the file is of an open size, or not of one 8-bit image
            and one output: logits [1, H, W, C] of 8 bits, or their ARG_MAX [1, H, W].
    """

    def __init__(
        self,
        content: bytes | Path,
        *,
        kernels: Kernels = "default",
        delegate: str | None = None,
        keeps_tensors: bool = False,
    ) -> None:
        """Loads the file and checks its two ends."""
        self._program = program = FileProgram(
            content, kernels=kernels, delegate=delegate, keeps_tensors=keeps_tensors
        )
        if len(program.inputs) != 1 or len(program.outputs) != 1:
            raise self._foreign(
                f"has {len(program.inputs)} inputs and {len(program.outputs)} outputs"
            )
        (self._input,), (self._output,) = program.inputs, program.outputs
        for end in (self._input, self._output):
            if -1 in end["shape_signature"]:
                raise self._foreign(f"leaves the size {end['shape_signature'].tolist()} open")
        shape, kind = self._input["shape"].tolist(), self._input["dtype"]
        if len(shape) != 4 or shape[0] != 1 or shape[3] != 3 or kind not in (np.int8, np.uint8):
            raise self._foreign(f"takes {kind.__name__} {shape}")
        shape, kind = self._output["shape"].tolist(), self._output["dtype"]
        self._gives_classes = shape == [1, *self.size]
        self._classes = 0
        if self._gives_classes:
            self._classes = self._classes_of(content)
        elif len(shape) == 4 and shape[0] == 1 and kind in (np.int8, np.uint8):
            self._classes = shape[-1]
        if not self._classes:
            raise self._foreign(f"returns {kind.__name__} {shape}")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image, pixels."""
        _, height, width, _ = self._input["shape"]
        return int(height), int(width)

    @property
    def classes(self) -> int:
        """Number of classes, C."""
        return self._classes

    @property
    def about(self) -> dict[str, Any]:
        """What the file says of itself, as `write_tflite` was given it; empty if nothing."""
        return self._program.about

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Returns the logits of one image, or its classes where the file gives those.

        Args:
            image: uint8 [H, W, 3] of this file's size.

        Returns:
            Integers [H', W', C], int8 or uint8; of classes [H, W], int32 or int64.

        Raises:
            ValueError: the image has another shape or type.
        """
        if image.dtype != np.uint8 or image.shape != (*self.size, 3):
            raise ValueError(
                f"{self._program.name} takes uint8 {(*self.size, 3)}, received {image.dtype} "
                f"{image.shape}."
            )
        return self._program(image)[0]

    def classify(self, image: np.ndarray) -> np.ndarray:
        """Returns the class of each pixel of one image, logits at a stride enlarged first.

        Args:
            image: uint8 [H, W, 3] of this file's size.

        Returns:
            int64 [H, W].

        Raises:
            ValueError: the image has another shape or type.
        """
        logits = self(image)
        if self._gives_classes:
            return logits.astype(np.int64)
        if logits.shape[:2] != self.size:
            logits = tf.image.resize(logits.astype(np.float32), self.size).numpy()
        return np.asarray(logits.argmax(-1))

    def tensor(self, name: str) -> np.ndarray:
        """Returns a constant, or what the last call left in a tensor.

        Raises:
            KeyError: no tensor has this name.
        """
        return self._program.tensor(name)

    def _classes_of(self, content: bytes | Path) -> int:
        """How many classes an ARG_MAX at the end chooses from; 0 if there is none."""
        data = content.read_bytes() if isinstance(content, Path) else content
        last = graph_of(data, name=self._program.name).operators[-1]
        return last.inputs[0].shape[-1] if last.op == "ARG_MAX" else 0

    def _foreign(self, what: str) -> ValueError:
        return ValueError(
            f"{self._program.name} {what}; accepted is one image [1, H, W, 3] of 8 bits in, logits "
            "[1, H, W, C] of 8 bits or their ARG_MAX [1, H, W] out, as the command convert writes "
            "them."
        )
