"""A small segmentation `.tflite` that the stock converter makes, with known integers."""

import functools
import warnings
from typing import Any

import flatbuffers
import numpy as np
import tensorflow as tf

from tfquantseg.export.graph_file import IDENTIFIER

SIZE = (24, 32)
CLASSES = 5
KERNEL_STEPS = np.float32([0.02, 0.03, 0.04, 0.05, 0.06])


def kernel() -> np.ndarray:
    """The integers of the head's kernel, [3, 3, 3, CLASSES]; each channel has a 127."""
    integers = np.random.default_rng(0).integers(-127, 128, (3, 3, 3, CLASSES))
    integers[0, 0, 0] = 127
    return integers


@functools.cache
def segmenter(*, input_type: Any = tf.int8, batch: int | None = 1, argmax: bool = False) -> bytes:
    """One convolution at stride 2 and a resize back: logits [1, 24, 32, CLASSES], or labels.

    Args:
        input_type: tf.int8 or tf.uint8.
        batch: None leaves it open.
        argmax: whether labels [1, 24, 32] come out, int32, in place of logits.
    """

    def on_grid(x: tf.Tensor, step: float) -> tf.Tensor:
        return tf.quantization.fake_quant_with_min_max_args(x, -128 * step, 127 * step)

    @tf.function(input_signature=[tf.TensorSpec([batch, *SIZE, 3], tf.float32)])
    def network(image: tf.Tensor) -> tf.Tensor:
        weights = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            kernel().astype(np.float32) * KERNEL_STEPS,
            -127 * KERNEL_STEPS,
            127 * KERNEL_STEPS,
            narrow_range=True,
        )
        x = tf.nn.conv2d(on_grid(image, 1 / 128), weights, 2, "SAME")
        x = on_grid(tf.image.resize(on_grid(x, 0.25), SIZE), 0.25)
        return tf.argmax(x, -1, tf.int32) if argmax else x

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [network.get_concrete_function()], tf.Module()
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = input_type
    if not argmax:
        converter.inference_output_type = input_type
    with warnings.catch_warnings():
        # The fake quantization above gives every step; nothing is to be calibrated.
        warnings.filterwarnings("ignore", "Statistics for quantized inputs were expected")
        return converter.convert()


def packed(model: Any) -> bytes:
    """Returns the file that holds the schema's objects."""
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())
