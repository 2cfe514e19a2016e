"""A worker that writes the int8 .tflite of tfmot's quantization aware training.

It runs with the packages of peers.lock.
"""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras_networks
from answers import Step, serve


def build(*, folder: str, file: str, steps: int) -> Step:
    """Writes the file; what it returns does nothing.

    Args:
        folder: holds the network's description.
        file: to write.
        steps: passes in training mode, in which tfmot follows the ranges of the activations.
    """
    model = tf_keras_networks.build(folder, batch=1)
    quantized = tfmot.quantization.keras.quantize_model(model)
    random = np.random.default_rng(0)
    for _ in range(steps):
        bytes_ = random.integers(0, 256, model.input_shape)
        quantized(tf.constant((bytes_ - 128) / 128, tf.float32), training=True)
    signature = tf.TensorSpec(model.input_shape, tf.float32)
    graph = tf.function(lambda image: quantized(image, training=False))
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [graph.get_concrete_function(signature)], quantized
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    Path(file).write_bytes(converter.convert())
    return lambda: 0.0


if __name__ == "__main__":
    serve(build)
