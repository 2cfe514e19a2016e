"""A worker that runs a `.tflite` file with LiteRT's default kernels, one image at a time."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import interpreter as litert

from tfquantseg.benchmark.peers.answers import Step, serve


def build(*, file: str, threads: int) -> Step:
    """Returns a function that runs one image and returns 0."""
    runner = litert.Interpreter(file, num_threads=threads)
    runner.allocate_tensors()
    (entry,) = runner.get_input_details()
    random = np.random.default_rng(0)
    image = random.integers(-128, 128, entry["shape"])
    if entry["dtype"] == np.float32:
        image = image / 128
    runner.set_tensor(entry["index"], image.astype(entry["dtype"]))

    def step() -> float:
        runner.invoke()
        return 0.0

    return step


if __name__ == "__main__":
    serve(build)
