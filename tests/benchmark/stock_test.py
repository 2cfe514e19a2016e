"""TensorFlow's files of a network of an open size."""

import keras
import numpy as np
import pytest
from ai_edge_litert import interpreter as litert

from tests.training.networks import threshold
from tfquantseg.benchmark import stock

# What TensorFlow's converter says when it is asked for int8 at both ends.
pytestmark = pytest.mark.filterwarnings("ignore:Statistics for quantized inputs:UserWarning")


def test_files_have_the_size_that_is_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    model = threshold()  # of any size
    images = np.zeros((2, 8, 16, 3), np.float32)
    images[1] = 255
    for content, kind in (
        (stock.float32_file(model, (8, 16)), np.float32),
        (stock.int8_file(model, images, (8, 16)), np.int8),
    ):
        runner = litert.Interpreter(model_content=content)
        (entry,), (out,) = runner.get_input_details(), runner.get_output_details()
        assert (entry["dtype"], out["dtype"]) == (kind, kind)
        assert entry["shape"].tolist() == [1, 8, 16, 3]
        assert out["shape"].tolist() == [1, 8, 16, 2]
    # The range of these images, in 255 steps.
    step, zero = entry["quantization"]
    assert (step, zero) == (1.0, -128)
    # Keras prints a line for each variable of a model that it exports, unless it is told not to.
    assert "TensorSpec" not in "".join(capfd.readouterr())
    assert keras.config.is_interactive_logging_enabled()
