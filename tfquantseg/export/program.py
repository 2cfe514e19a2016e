"""Runs a `.tflite` file with LiteRT, whatever its images and outputs."""

import ctypes
import json
import struct
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ai_edge_litert import interpreter as litert
from ai_edge_litert import schema_py_generated as schema

from tfquantseg.export.aligned import ABOUT, IDENTIFIER

Kernels = Literal["default", "reference"]


class FileProgram:
    """An int8 file of any number of images and outputs; `FileNetwork` is one that segments.

    Args:
        content: the file, or what it holds.
        kernels: "default" are those that a phone or a computer uses (XNNPACK); "reference" the
            slow ones that define what an operation computes.
        delegate: a library that runs operations elsewhere, such as libedgetpu.so.1.
        keeps_tensors: whether `tensor` may be asked for what lies between operations.

    Raises:
        ValueError: the file is not TFLite or damaged, or the delegate can't be loaded.

    Attributes:
        name: of the file, for messages.
        inputs: what LiteRT says of each.
        outputs: the same.
    """

    def __init__(
        self,
        content: bytes | Path,
        *,
        kernels: Kernels = "default",
        delegate: str | None = None,
        keeps_tensors: bool = False,
    ) -> None:
        """Loads the file."""
        self.name = str(content) if isinstance(content, Path) else "the file"
        self._interpreter = self._load(content, kernels, delegate, keeps_tensors)
        self.inputs: list[dict[str, Any]] = self._interpreter.get_input_details()
        self.outputs: list[dict[str, Any]] = self._interpreter.get_output_details()
        self._names = {
            detail["name"]: detail["index"] for detail in self._interpreter.get_tensor_details()
        }

    @property
    def about(self) -> dict[str, Any]:
        """What the file says of itself, as `write_tflite` was given it; empty if nothing."""
        return dict(self._about)

    def __call__(self, *images: np.ndarray) -> tuple[np.ndarray, ...]:
        """Returns every output, in the file's order, without the batch.

        Args:
            *images: uint8 [H, W, C], one for each input, in the file's order.

        Raises:
            ValueError: an image has another shape or type, or there are too few or too many.
        """
        accepted = [tuple(detail["shape"][1:].tolist()) for detail in self.inputs]
        if [image.shape for image in images] != accepted:
            raise ValueError(
                f"{self.name} takes images of {accepted}, received {[i.shape for i in images]}."
            )
        if strange := {str(image.dtype) for image in images} - {"uint8"}:
            raise ValueError(f"{self.name} takes uint8, received {', '.join(sorted(strange))}.")
        for detail, image in zip(self.inputs, images, strict=True):
            if detail["dtype"] == np.int8:
                image = (image.astype(np.int16) - 128).astype(np.int8)
            self._interpreter.set_tensor(detail["index"], image[np.newaxis])
        self._interpreter.invoke()
        return tuple(
            np.asarray(self._interpreter.get_tensor(detail["index"])[0]) for detail in self.outputs
        )

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
                f"{self.name} can't be run: {str(error).rstrip('.')}. Give a .tflite file that "
                "the command convert wrote."
            ) from error
        return loaded

    def _delegate(self, library: str) -> Any:
        try:
            ctypes.CDLL(library)  # LiteRT's own delegate fails a second time when it is freed.
            return litert.load_delegate(library)
        except (ValueError, OSError) as error:
            raise ValueError(
                f"The delegate {library!r} can't be loaded ({error}); install it (for a Coral "
                "board the package libedgetpu1-std), or leave it out."
            ) from error


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
