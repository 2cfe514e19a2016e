"""The parts of a run, built from its config: data, model, loss, optimizer."""

from __future__ import annotations

import gc

import keras
import tensorflow as tf
from ml_collections import ConfigDict

from tfquantseg import losses, models, policy
from tfquantseg.data import SegmentationData, class_weights, load
from tfquantseg.optimizer import IntegerSGD
from tfquantseg.schedules import Halvings
from tfquantseg.transform import quantize


def data(config: ConfigDict, split: str) -> SegmentationData:
    """The split of the config's data set.

    Args:
        config: The run's config.
        split: The data set's own name of it, with a slice if wished: `"train[:0.8]"`.

    Raises:
        ValueError: See `tfquantseg.data.load`.
    """
    return load(config.data.name, split, **config.data.options)


def rules(config: ConfigDict) -> policy.Rules:
    """The config's rules, then its policy for every other layer.

    Raises:
        ValueError: A preset is not known, or a pattern is not a regular expression.
    """
    chosen = [(pattern, policy.preset(name)) for pattern, name in config.rules]
    return policy.Rules((*chosen, (".*", policy.preset(config.policy))))


def model(config: ConfigDict, classes: int) -> keras.Model:
    """The config's model, quantized by its rules.

    Random initial weights depend on `keras.utils.set_random_seed`.

    Raises:
        ValueError: The model, one of its arguments, or a rule is not known or does not fit.
    """
    model = quantize(
        models.build(config.model.name, classes=classes, **config.model.args.to_dict()),
        rules(config),
    )
    gc.collect()  # The float model refers to itself: its weights would stay as long as it does.
    return model


def schedule(config: ConfigDict) -> Halvings:
    """The config's learning rate, by step.

    Raises:
        ValueError: A number is out of range.
    """
    chosen = config.optimizer
    return Halvings(chosen.learning_rate, tuple(chosen.boundaries), tuple(chosen.warmup))


def optimizer(config: ConfigDict, learning_rate: float | None = None) -> IntegerSGD:
    """The config's optimizer, not built yet.

    Args:
        config: The run's config.
        learning_rate: A constant in place of the config's schedule.

    Raises:
        ValueError: A number is out of range.
    """
    chosen = config.optimizer
    return IntegerSGD(
        schedule(config) if learning_rate is None else learning_rate,
        momentum=chosen.momentum,
        decay=chosen.decay,
        factors=tuple(chosen.factors),
        seed=config.seed,
    )


def loss(config: ConfigDict, training: SegmentationData) -> losses.Loss:
    """The config's loss, its classes balanced by how often they appear in the training split.

    Raises:
        ValueError: Its name is not known, or the balance is out of range.
    """
    if not config.class_balance:
        return losses.get(config.loss)
    return losses.get(config.loss, class_weights(training, config.class_balance))


def deterministic(seed: int) -> None:
    """Makes everything that follows in this process depend on the seed alone.

    Kernels that sum in the order in which threads finish are replaced by ones that do not, so that
    a run killed and resumed equals one that was not. Keras names layers by counting them; the
    count starts anew, so that a model is named alike whatever was built before it.
    """
    tf.config.experimental.enable_op_determinism()
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
