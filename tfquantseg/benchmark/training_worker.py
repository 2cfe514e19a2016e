"""A worker that trains a network one step at a time: Keras's own ways, or ours.

Keras's variants run the function that `fit` runs, compiled as Keras compiles it by default. Ours
run the step that the command `train` runs, with its deterministic kernels.
"""

from __future__ import annotations

import dataclasses
import gc
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfquantseg import kernels, losses
from tfquantseg.benchmark import networks, plain_fake_quant, profile
from tfquantseg.benchmark.peers.answers import Step, serve
from tfquantseg.optimizer import IntegerSGD
from tfquantseg.policy import preset
from tfquantseg.training import parts
from tfquantseg.training.step import training_step
from tfquantseg.transform import quantize

_IGNORE = 255


@dataclasses.dataclass(frozen=True)
class OurStep:
    """A step of ours, which can be profiled; calling it trains and returns the loss.

    Attributes:
        train: does that.
        graph: of which it is made.
    """

    train: Step
    graph: tf.Graph

    def __call__(self) -> float:
        """Trains one step."""
        return self.train()


def profiled(step: Step) -> dict[str, float]:
    """Returns what takes how many seconds of a step; empty where the step is not ours."""
    return profile.seconds_by_kind(step, step.graph) if isinstance(step, OurStep) else {}


def build(
    *,
    network: str,
    variant: str,
    size: list[int],
    batch: int,
    rate: float,
    momentum: float,
    threads: int,
) -> Step:
    """Returns a function that trains one step and returns the loss."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    chosen = networks.network(network)
    if variant == "mixed_bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    height, width = size
    random = np.random.default_rng(0)
    images = tf.constant(random.integers(0, 256, (batch, height, width, 3)), tf.float32)
    labels = tf.constant(random.integers(0, networks.CLASSES, (batch, height, width)), tf.int32)
    if variant == "INTEGER_stock":
        with kernels.stock():
            return _ours(chosen, "INTEGER", images, labels, rate, momentum)
    if variant in ("PAPER", "INTEGER"):
        name = chosen.paper if variant == "PAPER" else variant
        return _ours(chosen, name, images, labels, rate, momentum)
    model = chosen.build((height, width))
    if variant == "fake_quant":
        model = plain_fake_quant.fake_quant(model)
    model.compile(
        keras.optimizers.SGD(rate, momentum=momentum),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors((images, labels)).repeat())
    return lambda: float(model.train_function(batches)["loss"])


def _ours(
    network: networks.Network,
    policy: str,
    images: tf.Tensor,
    labels: tf.Tensor,
    rate: float,
    momentum: float,
) -> OurStep:
    """Returns our step of a network, traced."""
    parts.deterministic(0)
    model = quantize(network.build(tuple(images.shape[1:3])), preset(policy))
    gc.collect()  # As `parts.model` does.
    optimizer = IntegerSGD(rate, momentum=momentum)
    optimizer.build(model.trainable_variables)
    step: Any = training_step(
        model, losses.softmax_cross_entropy, optimizer, classes=networks.CLASSES, ignore=_IGNORE
    )
    traced = step.get_concrete_function(images, labels)
    return OurStep(lambda: float(traced(images, labels).loss), traced.graph)


if __name__ == "__main__":
    serve(build, profiled)
