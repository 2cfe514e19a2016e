"""Hints of values at limits: none where there are none, and a rule that mends the others."""

import ast

import keras
import numpy as np
import tensorflow as tf

from tests.training import tiny
from tfquantseg.optimizer import IntegerSGD
from tfquantseg.policy import FLOAT, INTEGER, Policy, Rules, preset
from tfquantseg.training.hints import hints
from tfquantseg.transform import quantize


def _stepped(policy: Policy, share: float) -> tuple[keras.Model, IntegerSGD]:
    """A model of whose last convolution this share of the weights is at its limit."""
    keras.utils.set_random_seed(1)
    model = quantize(tiny.dropout_model(), policy)
    optimizer = IntegerSGD(2.0**-8)
    optimizer.build(model.trainable_variables)
    kernel = model.get_layer("logits").kernel
    if share:
        weights = np.zeros(kernel.shape, np.float32)
        weights.flat[: round(share * weights.size)] = 1000  # which the first update clips
        kernel.assign(weights)
    optimizer.apply([tf.zeros(v.shape) for v in model.trainable_variables])
    return model, optimizer


def test_nothing_is_told_of_weights_within_their_limits() -> None:
    assert hints(*_stepped(INTEGER, 0)) == []
    assert hints(*_stepped(FLOAT, 0)) == []


def test_weights_at_their_limit_are_told_with_a_rule_that_gives_room() -> None:
    model, optimizer = _stepped(preset("INTEGER k_W=6"), 0.5)
    (line,) = hints(model, optimizer)
    assert line.startswith("logits: 50% of the weights stand at their limit")
    limit = max(model.get_layer("logits").W_limit)
    rules = ast.literal_eval(line.partition("--config.rules=")[2].strip('"'))
    assert rules == (("logits", f"INTEGER k_W=6 W_limit={4 * limit:g}"),)
    rule = (rules[0][0], preset(rules[0][1]))
    wider = quantize(tiny.dropout_model(), Rules((rule, (".*", INTEGER))))
    assert wider.get_layer("logits").W_limit == 4 * limit


def test_clipped_statistics_are_told() -> None:
    image = keras.Input((8, 8, 3))
    convolved = keras.layers.Conv2D(2, 3, use_bias=False)(image)
    model = quantize(
        keras.Model(image, keras.layers.BatchNormalization(name="norm")(convolved)), INTEGER
    )
    optimizer = IntegerSGD(2.0**-8)
    optimizer.build(model.trainable_variables)
    model.get_layer("norm").clipped.assign(0.25)
    assert hints(model, optimizer) == [
        "norm: mu or sigma of 25.0% of the channels is clipped at its limit."
    ]
