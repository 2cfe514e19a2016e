"""A worker that trains a float network on with tfmot's quantization aware training.

It then writes the int8 .tflite. It runs with the packages of peers.lock. Two parts are built, one
after the other: the one of task "train", whose steps read batches that the parent has written, and
the one of task "convert".

tfmot's quantizers of activations begin at -6..6 and keep 0.999 of their range a step, so that some
hundred steps would end with ranges that fit no network. They begin here at what the float network
gives on calibration images, the very ones that the converter's post-training quantization gets.
"""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
import tf_keras_networks
from answers import Step, serve

_RANGES = ("output", "post_activation", "quantize_layer")  # whose ends are NAME_min and NAME_max
_WRAPPED = "quant_"  # how tfmot calls what it wraps


class FineTuning:
    """One network, being trained."""

    def __init__(self) -> None:
        """Has no network yet."""
        self._folder = ""
        self._quantized: Any = None

    def build(self, *, task: str, **arguments: Any) -> Step:
        """Does a task, "train" or "convert"; see `_train` and `_convert`."""
        return self._train(**arguments) if task == "train" else self._convert(**arguments)

    def _train(
        self,
        *,
        folder: str,
        batches: str,
        calibration: str,
        batch: int,
        rate: float,
        momentum: float,
        decay: float,
        factors: dict[str, float],
        ignore: int,
        class_weights: list[float] | None,
        threads: int,
    ) -> Step:
        """Returns a function that trains one step and returns the loss.

        Args:
            folder: holds the network's description.
            batches: folder where the parent writes NUMBER.npz, of images and labels, from 0 on.
            calibration: file of images, float32 [N, H, W, 3] as the network takes them.
            batch: images a step.
            rate: learning rate.
            momentum: of the velocity.
            decay: of kernels, added to the gradient.
            factors: of the learning rate, by layer name.
            ignore: label of the pixels that do not count.
            class_weights: how much a pixel of each class counts; None for all the same.
            threads: to use at most.
        """
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        tf_keras.utils.set_random_seed(0)
        self._folder = folder
        float_model = tf_keras_networks.build(folder, batch)
        model = self._quantized = tfmot.quantization.keras.quantize_model(float_model)
        images = np.load(calibration)
        begin_ranges(model, tf_keras_networks.build(folder, 1, list(images.shape[1:3])), images)
        variables = model.trainable_variables
        optimizer = tf_keras.optimizers.SGD(rate, momentum=momentum)
        optimizer.build(variables)
        each = [factors.get(layer_of(variable), 1.0) for variable in variables]
        decays = [decay if "kernel" in variable.name else 0.0 for variable in variables]
        counts = None if class_weights is None else tf.constant(class_weights, tf.float32)

        @tf.function
        def step(images: Any, labels: Any) -> Any:
            valid = labels != ignore
            kept = tf.where(valid, labels, 0)
            weights = tf.cast(valid, tf.float32)
            if counts is not None:
                weights *= tf.gather(counts, kept)
            with tf.GradientTape() as tape:
                logits = model(images, training=True)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(kept, logits)
                total = tf.reduce_sum(weights)
                total = tf.where(total > 0, total, 1.0)
                loss = tf.reduce_sum(tf.where(valid, losses * weights, 0.0)) / total
            gradients = tape.gradient(loss, variables)
            moved = [
                factor * (gradient + one * variable)
                for gradient, factor, one, variable in zip(
                    gradients, each, decays, variables, strict=True
                )
            ]
            optimizer.apply_gradients(zip(moved, variables, strict=True))
            return loss

        done = 0

        def train() -> float:
            nonlocal done
            with np.load(Path(batches) / f"{done}.npz") as pair:
                images, labels = pair["images"], pair["labels"].astype(np.int32)
            done += 1
            return float(step(tf.constant(images), tf.constant(labels)))

        return train

    def _convert(self, *, file: str, size: list[int], images: str, classes: str) -> Step:
        """Writes the file, and what the trained graph sees in some images; the step does nothing.

        Args:
            file: to write.
            size: height and width of its image.
            images: float32 [N, H, W, 3] as the network takes them.
            classes: file for the class of each pixel, int64 [N, H, W].
        """
        model = tfmot.quantization.keras.quantize_model(
            tf_keras_networks.build(self._folder, 1, size)
        )
        model.set_weights(self._quantized.get_weights())
        wake_channels(model)
        graph = tf.function(lambda image: model(image, training=False))
        signature = tf.TensorSpec((1, *size, 3), tf.float32)
        traced = graph.get_concrete_function(signature)
        seen = [traced(tf.constant(image[np.newaxis])) for image in np.load(images)]
        np.save(classes, np.concatenate([logits.numpy().argmax(-1) for logits in seen]))
        converter = tf.lite.TFLiteConverter.from_concrete_functions([traced], model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
        Path(file).write_bytes(converter.convert())
        return lambda: 0.0


def layer_of(variable: Any) -> str:
    """Returns the name that a variable's layer had before tfmot wrapped it."""
    return str(variable.name).split("/")[0].removeprefix(_WRAPPED)


def begin_ranges(quantized: Any, float_model: Any, images: Any) -> None:
    """Sets the range of every activation to that of the float network on some images.

    Args:
        quantized: what tfmot made of the network.
        float_model: the network, of one image.
        images: float32 [N, H, W, 3].
    """
    named = {layer.name: layer for layer in float_model.layers}
    outputs = {name: layer.output for name, layer in named.items()}
    graph = tf_keras.Model(float_model.input, outputs)
    low = dict.fromkeys(outputs, 0.0)  # tfmot's ranges hold zero
    high = dict.fromkeys(outputs, 0.0)
    for image in images:
        for name, value in graph(image[np.newaxis], training=False).items():
            low[name] = min(low[name], float(tf.reduce_min(value)))
            high[name] = max(high[name], float(tf.reduce_max(value)))
    image_name = float_model.input_names[0]
    for layer in quantized.layers:
        name = layer.name.removeprefix(_WRAPPED)
        name = image_name if name.startswith("quantize_layer") else name
        for variable_name, variable in weights_by_name(layer).items():
            kind, _, end = variable_name.rpartition("_")
            if kind.startswith(_RANGES) and end in ("min", "max"):
                variable.assign((low if end == "min" else high)[name])


def wake_channels(quantized: Any) -> None:
    """Writes channels that are switched off so that TensorFlow's converter can take them.

    Pretrained networks have channels whose kernel is all zero, with a gamma of 0 and a beta that is
    not. The converter folds gamma into the kernel and its step; a step of 0 holds no bias, and it
    leaves the whole convolution in float32. With gamma and variance 1, a mean of 0 and the range of
    the widest channel for its zeros, such a channel gives beta as before.

    Args:
        quantized: what tfmot made of the network, trained.
    """
    for layer in quantized.layers:
        norm = weights_by_name(layer)
        if "gamma" not in norm:
            continue
        before = weights_by_name(layer.inbound_nodes[0].inbound_layers)
        for name in {"kernel", "depthwise_kernel"} & before.keys():
            columns = tf.reshape(before[name], (-1, norm["gamma"].shape[0]))
            off = (norm["gamma"] == 0) & tf.reduce_all(columns == 0, axis=0)
            for one, value in (("gamma", 1.0), ("moving_mean", 0.0), ("moving_variance", 1.0)):
                norm[one].assign(tf.where(off, value, norm[one]))
            low, high = before[f"{name}_min"], before[f"{name}_max"]
            empty = low == high
            low.assign(tf.where(empty, tf.reduce_min(low), low))
            high.assign(tf.where(empty, tf.reduce_max(high), high))


def weights_by_name(layer: Any) -> dict[str, Any]:
    """Returns a layer's weights by the last part of their names."""
    return {variable.name.split("/")[-1].split(":")[0]: variable for variable in layer.weights}


if __name__ == "__main__":
    serve(FineTuning().build)
