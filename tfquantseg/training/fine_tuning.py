"""More training steps after the last, at activation steps that stay.

Training takes each activation's step from the batch at hand; a file holds one constant. Some steps
at that constant let the weights follow it. They go on where the run ended: with its data, its
stochastic rounding and its last learning rate; momentum starts at zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import keras
from ml_collections import ConfigDict

from tfquantseg.training import parts, sizes
from tfquantseg.training.step import training_batches, training_step


def fine_tune(
    model: keras.Model,
    config: ConfigDict,
    steps: int,
    *,
    done: int,
    learning_rate: float | None = None,
    seen: Callable[[], None] = lambda: None,
) -> None:
    """Trains a model on, at one learning rate.

    Args:
        model: The trained model, its activation scales held (`tfquantseg.layers.hold_scales`); its
            weights change.
        config: The run's config.
        steps: How many steps.
        done: Steps that the model has done before.
        learning_rate: None for the one of the config's last step.
        seen: Called after each step.

    Raises:
        ValueError: The data cannot be read, or their size does not fit the model.
        FloatingPointError: The loss or a gradient is not finite; names the step and the layer.
    """
    data = parts.data(config, config.data.train)
    sizes.check_training(model, config)
    if learning_rate is None:
        learning_rate = last_learning_rate(config)
    optimizer = parts.optimizer(config, learning_rate)
    optimizer.build(model.trainable_variables)
    optimizer.iterations.assign(done)  # A draw of the rounding never repeats one of the run.
    loss, ignore = parts.loss(config, data), data.ignore_label
    step = training_step(model, loss, optimizer, classes=len(data.classes), ignore=ignore)
    batches = training_batches(config, data, done)
    for number in range(1, steps + 1):
        result = step(*next(batches))
        paths = optimizer.nonfinite_layers()
        if paths or not math.isfinite(float(result.loss)):
            what = f"the gradient of {paths[0]}" if paths else "the loss"
            raise FloatingPointError(
                f"Fine-tuning failed in step {number} of {steps}: {what} is not finite. Convert "
                "without it, or with fewer steps."
            )
        seen()


def last_learning_rate(config: ConfigDict) -> float:
    """The learning rate of a config's last step."""
    return float(parts.schedule(config)(config.steps - 1))
