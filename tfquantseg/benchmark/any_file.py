"""A `.tflite` segmentation file of anybody's, float32 or int8, that classes the pixels of images.

`tfquantseg.export.FileNetwork` runs files of our own, whose image lies on the grid u - 128. Other
converters choose a step and a zero point for the image; here it is brought to theirs.
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert import interpreter as litert


class AnyFile:
    """A file, run by LiteRT's default kernels, one image at a time.

    Args:
        content: the file.
        scale: the network takes ``u * scale + offset`` of bytes u.
        offset: see `scale`.
        threads: to use.

    Raises:
        ValueError: it is no such file, or not of one image and one map of logits.
    """

    def __init__(self, content: bytes, scale: float, offset: float, threads: int = 1) -> None:
        """Loads the file and checks its two ends."""
        try:
            self._runner = litert.Interpreter(model_content=content, num_threads=threads)
            self._runner.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"The file can't be run: {str(error).rstrip('.')}.") from error
        inputs, outputs = self._runner.get_input_details(), self._runner.get_output_details()
        shapes = [one["shape"].tolist() for one in (*inputs, *outputs)]
        if len(shapes) != 2 or any(len(one) != 4 for one in shapes) or shapes[0][3] != 3:
            raise ValueError(
                f"The file has ends of the shapes {shapes}; accepted are one image [1, H, W, 3] "
                "and one map of logits [1, H, W, C]."
            )
        if shapes[0][:3] != shapes[1][:3]:
            raise ValueError(
                f"The file gives logits {shapes[1]} of images {shapes[0]}; accepted are logits of "
                "the image's height and width."
            )
        self._input, self._output = inputs[0], outputs[0]
        self._rescaling = scale, offset

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image, pixels."""
        _, height, width, _ = self._input["shape"].tolist()
        return int(height), int(width)

    def classify(self, image: np.ndarray) -> np.ndarray:
        """Returns the class of each pixel.

        Args:
            image: uint8 [H, W, 3].

        Returns:
            int64 [H, W].
        """
        scale, offset = self._rescaling
        value = (image.astype(np.float32) * scale + offset).astype(np.float32)
        kind = self._input["dtype"]
        if kind != np.float32:
            step, zero = self._input["quantization"]
            ends = np.iinfo(kind)
            value = np.clip(np.round(value / step) + zero, ends.min, ends.max)
        self._runner.set_tensor(self._input["index"], value.astype(kind)[np.newaxis])
        self._runner.invoke()
        return np.asarray(self._runner.get_tensor(self._output["index"])[0].argmax(-1))
