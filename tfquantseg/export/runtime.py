"""Runs a `.tflite` file with LiteRT."""

import ctypes
import json
import struct
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from ai_edge_litert import interpreter as litert
from ai_edge_litert import schema_py_generated as schema

from tfquantseg.export.aligned import ABOUT, IDENTIFIER
from tfquantseg.export.graph_file import graph_of

Kernels = Literal["default", "reference"]


class FileNetwork:
    """An int8 segmentation file, run image by image.

    Args:
        content: the file, or what it holds.
        kernels: "default" are those that a phone or a computer uses (XNNPACK); "reference" the
            slow ones that define what an operation computes.
        delegate: a library that runs operations elsewhere, such as libedgetpu.so.1.
        keeps_tensors: whether `tensor` may be asked for what lies between operations.

    Raises:
        ValueError: it is no such file: not TFLite, damaged, of an open size, or not of one 8-bit
            image and one output: logits [1, H, W, C] of 8 bits, or their ARG_MAX [1, H, W]; or the
            delegate can't be loaded.
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
        self._name = str(content) if isinstance(content, Path) else "the file"
        self._interpreter = self._load(content, kernels, delegate, keeps_tensors)
        inputs, outputs = (
            self._interpreter.get_input_details(),
            self._interpreter.get_output_details(),
        )
        if len(inputs) != 1 or len(outputs) != 1:
            raise self._foreign(f"has {len(inputs)} inputs and {len(outputs)} outputs")
        self._input, self._output = inputs[0], outputs[0]
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
        self._names = {
            detail["name"]: detail["index"] for detail in self._interpreter.get_tensor_details()
        }

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
        return dict(self._about)

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
                f"{self._name} takes uint8 {(*self.size, 3)}, received {image.dtype} {image.shape}."
            )
        if self._input["dtype"] == np.int8:
            image = (image.astype(np.int16) - 128).astype(np.int8)
        self._interpreter.set_tensor(self._input["index"], image[np.newaxis])
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._output["index"])[0])

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
        return np.asarray(self._interpreter.get_tensor(self._names[name]))

    def _load(
        self, content: bytes | Path, kernels: Kernels, delegate: str | None, keeps_tensors: bool
    ) -> Any:
        if isinstance(content, Path) and not content.is_file():
            raise ValueError(
                f"There is no model {content.absolute()}; give a .tflite file that the command "
                "convert wrote."
            )
        delegates = [self._delegate(delegate)] if delegate else None
        try:
            data = content.read_bytes() if isinstance(content, Path) else content
            self._about = _about(data)
            loaded = litert.Interpreter(
                model_content=data,
                experimental_op_resolver_type=(
                    litert.OpResolverType.BUILTIN_REF
                    if kernels == "reference"
                    else litert.OpResolverType.AUTO
                ),
                experimental_preserve_all_tensors=keeps_tensors,
                experimental_delegates=delegates,
            )
            loaded.allocate_tensors()
        except (ValueError, RuntimeError, struct.error) as error:
            raise ValueError(
                f"{self._name} can't be run: {str(error).rstrip('.')}. Give a .tflite file that "
                "the command convert wrote."
            ) from error
        return loaded

    def _classes_of(self, content: bytes | Path) -> int:
        """How many classes an ARG_MAX at the end chooses from; 0 if there is none."""
        data = content.read_bytes() if isinstance(content, Path) else content
        last = graph_of(data, name=self._name).operators[-1]
        return last.inputs[0].shape[-1] if last.op == "ARG_MAX" else 0

    def _delegate(self, library: str) -> Any:
        try:
            ctypes.CDLL(library)  # LiteRT's own delegate fails a second time when it is freed.
            return litert.load_delegate(library)
        except (ValueError, OSError) as error:
            raise ValueError(
                f"The delegate {library!r} can't be loaded ({error}); install it (for a Coral "
                "board the package libedgetpu1-std), or leave it out."
            ) from error

    def _foreign(self, what: str) -> ValueError:
        return ValueError(
            f"{self._name} {what}; accepted is one image [1, H, W, 3] of 8 bits in, logits "
            "[1, H, W, C] of 8 bits or their ARG_MAX [1, H, W] out, as the command convert writes "
            "them."
        )


def _about(content: bytes) -> dict[str, Any]:
    """What a file says of itself in the metadata of our name."""
    if content[4:8] != IDENTIFIER:
        raise ValueError("it is no TensorFlow Lite file")
    model = schema.Model.GetRootAs(content)
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == ABOUT.encode():
            about = json.loads(model.Buffers(entry.Buffer()).DataAsNumpy().tobytes())
            return about if isinstance(about, dict) else {}
    return {}
