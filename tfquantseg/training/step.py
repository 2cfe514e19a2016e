"""One training step, and batches for it, on one device or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import keras
import tensorflow as tf
from ml_collections import ConfigDict

from tfquantseg.data import SegmentationData, batches, steps_per_epoch
from tfquantseg.losses import Loss


class StepResult(NamedTuple):
    """What one step tells.

    Attributes:
        loss: float32 scalar, before the update, mean over the replicas.
        learning_rate: float32 scalar, used in the update.
        confusion: int64 [C, C], pixels by class in the ground truth and class predicted, over the
            images of the step as the model in training saw them.
    """

    loss: tf.Tensor
    learning_rate: tf.Tensor
    confusion: tf.Tensor


Step = Callable[[tf.Tensor, tf.Tensor], StepResult]


def training_step(
    model: keras.Model,
    loss: Loss,
    optimizer: keras.optimizers.Optimizer,
    *,
    classes: int,
    ignore: int,
) -> Step:
    """Makes the function that does one step: forward, backward, update; for loops of one's own.

    It runs on every replica of the current `tf.distribute` strategy, which is one where none was
    chosen. The optimizer sums gradients over replicas, so each contributes the gradient of its
    share of the mean: loss / replicas.

    Args:
        model: Float or quantized; images to logits.
        loss: A function of (labels, logits, ignore) such as those in `tfquantseg.losses`.
        optimizer: Built for the model's trainable variables.
        classes: Number of classes C.
        ignore: Label of the pixels that do not count.

    Returns:
        A function of (images float32 [N, H, W, 3], labels int32 [N, H, W]), traced once a shape.
        It returns a tuple (``loss``, float32, before the update; ``learning_rate``, float32, used
        in it; ``confusion``, int64 [C, C], pixels by class in the ground truth and predicted).
    """
    strategy = tf.distribute.get_strategy()

    def on_replica(images: tf.Tensor, labels: tf.Tensor) -> StepResult:
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            value = loss(labels, logits, ignore)
            share = value / strategy.num_replicas_in_sync
        gradients = tape.gradient(share, model.trainable_variables)
        rate = tf.convert_to_tensor(optimizer.learning_rate)
        optimizer.apply(gradients, model.trainable_variables)
        return StepResult(value, rate, _confusion(labels, logits, classes, ignore))

    # Convolutions and random numbers are slow inside XLA on CPUs, and a part of the method's
    # checks would be dropped there: XLA's maximum ignores NaN.
    @tf.function(jit_compile=False)
    def step(images: tf.Tensor, labels: tf.Tensor) -> StepResult:
        value, rate, confusion = strategy.run(on_replica, args=(images, labels))
        mean, total = tf.distribute.ReduceOp.MEAN, tf.distribute.ReduceOp.SUM
        return StepResult(
            strategy.reduce(mean, value, axis=None),
            strategy.reduce(mean, rate, axis=None),
            strategy.reduce(total, confusion, axis=None),
        )

    return step


def training_batches(
    config: ConfigDict, data: SegmentationData, done: int
) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """All batches of a run after the first `done`, without end; the same whenever it starts.

    Args:
        config: The run's config.
        data: The training split.
        done: Steps done before.

    Yields:
        (images, labels), distributed over the replicas of the current strategy.

    Raises:
        ValueError: An example cannot be read; names its files.
    """
    strategy = tf.distribute.get_strategy()
    in_epoch = steps_per_epoch(len(data), config.data.batch)
    while True:
        epoch, start = divmod(done, in_epoch)
        dataset = batches(
            data,
            batch=config.data.batch,
            training=True,
            size=tuple(config.data.size),
            fit=config.data.fit,
            flip=config.data.flip,
            multiple=config.data.multiple,
            seed=config.seed,
            epoch=epoch,
            start_step=start,
        )
        yield from readable(strategy.experimental_distribute_dataset(dataset))
        done += in_epoch - start


def readable(dataset: tf.data.Dataset) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """Iterates over a data set; an example that cannot be read raises its own ValueError.

    TensorFlow wraps what a reading function raises into a longer text with a traceback.
    """
    iterator = iter(dataset)
    while True:
        try:
            batch = next(iterator)
        except StopIteration:
            return
        except (tf.errors.InvalidArgumentError, tf.errors.UnknownError) as error:
            raise ValueError(_cause(error.message)) from error
        yield batch


def _cause(message: str) -> str:
    """The text of the Python error inside TensorFlow's."""
    first = message.split("ValueError: ", 1)[-1]
    return first.split("\nTraceback", 1)[0].strip()


def _confusion(labels: tf.Tensor, logits: tf.Tensor, classes: int, ignore: int) -> tf.Tensor:
    labels = tf.reshape(labels, [-1])
    valid = labels != ignore
    guess = tf.reshape(tf.argmax(logits, axis=-1, output_type=tf.int32), [-1])
    cells = tf.boolean_mask(labels * classes + guess, valid)
    counts = tf.math.bincount(cells, minlength=classes**2, maxlength=classes**2, dtype=tf.int64)
    return tf.reshape(counts, [classes, classes])
