"""Runs a `.tflite` file, float32 or int8."""

from pathlib import Path

import numpy as np
from ai_edge_litert import interpreter as litert


def logits(file: Path, bytes_: np.ndarray) -> np.ndarray:
    """Returns the logits, float32 [1, H, W, C], of an image uint8 [H, W, 3]."""
    runner = litert.Interpreter(str(file))
    runner.allocate_tensors()
    (entry,), (out,) = runner.get_input_details(), runner.get_output_details()
    integers = bytes_.astype(np.int16) - 128
    image = integers / 128 if entry["dtype"] == np.float32 else integers
    runner.set_tensor(entry["index"], image.astype(entry["dtype"])[np.newaxis])
    runner.invoke()
    values = runner.get_tensor(out["index"]).astype(np.float32)
    scale, zero = out["quantization"]
    return values if not scale else (values - zero) * scale
