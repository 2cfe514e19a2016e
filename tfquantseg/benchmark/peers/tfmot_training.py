"""A worker that trains a network in tf_keras: float32, or with tfmot's quantization aware training.

It runs with the packages of peers.lock.
"""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
import tf_keras_networks
from answers import Step, serve


def build(
    *,
    folder: str,
    quantized: bool,
    batch: int,
    classes: int,
    rate: float,
    momentum: float,
    threads: int,
) -> Step:
    """Returns a function that trains one step, as `fit` does, and returns the loss."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    model = tf_keras_networks.build(folder, batch)
    if quantized:
        model = tfmot.quantization.keras.quantize_model(model)
    model.compile(
        tf_keras.optimizers.SGD(rate, momentum=momentum),
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    random = np.random.default_rng(0)
    height, width = model.input_shape[1:3]
    bytes_ = random.integers(0, 256, (batch, height, width, 3))
    images = tf.constant((bytes_ - 128) / 128, tf.float32)
    labels = tf.constant(random.integers(0, classes, (batch, height, width)), tf.int32)
    train = model.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors((images, labels)).repeat())
    return lambda: float(train(batches)["loss"])


if __name__ == "__main__":
    serve(build)
