"""Training on at steps that stay."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training import tiny
from tfquantseg import preset, quantize
from tfquantseg.layers import QuantEdge, hold_scales
from tfquantseg.training import fine_tuning, parts

CONFIG = tiny.config()


def _model() -> keras.Model:
    """Two convolutions, their scales estimated on one image and held."""
    parts.deterministic(CONFIG.seed)
    image = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 128, offset=-1)(image)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="stem")(x)
    logits = keras.layers.Conv2D(11, 1, name="logits")(x)
    model = quantize(keras.Model(image, logits), preset("INTEGER"))
    model(np.full((1, 64, 64, 3), 200.0, np.float32), training=True)
    hold_scales(model)
    return model


def _scales(model: keras.Model) -> list[float]:
    return [
        float(layer.running_scale.numpy())
        for layer in model.layers
        if isinstance(layer, QuantEdge) and layer.fixed_scale is None
    ]


def test_weights_move_steps_stay_and_the_same_gives_the_same() -> None:
    ended, seen = [], list[int]()
    for _ in range(2):
        model = _model()
        scales = _scales(model)
        before = model.get_layer("stem").kernel.numpy()
        fine_tuning.fine_tune(model, CONFIG, 2, done=40, seen=lambda: seen.append(1))
        assert _scales(model) == scales and min(scales) > 0
        ended.append(model.get_layer("stem").kernel.numpy())
        assert np.any(ended[-1] != before)
    np.testing.assert_array_equal(*ended)
    assert len(seen) == 4


def test_the_rate_is_the_last_one_and_draws_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    of_config = parts.optimizer

    def optimizer(*arguments: object) -> object:
        made.append(of_config(*arguments))
        return made[-1]

    monkeypatch.setattr(parts, "optimizer", optimizer)
    fine_tuning.fine_tune(_model(), CONFIG, 1, done=40)
    # 2**-5, halved at step 30 of 40.
    assert float(made[0].learning_rate) == 2.0**-6
    assert int(made[0].iterations) == 41
    fine_tuning.fine_tune(_model(), CONFIG, 1, done=40, learning_rate=2.0**-9)
    assert float(made[1].learning_rate) == 2.0**-9


def test_what_is_not_finite_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(labels: tf.Tensor, logits: tf.Tensor, ignore: int) -> tf.Tensor:
        return tf.reduce_sum(logits) * float("nan")

    monkeypatch.setattr(parts, "loss", lambda *_: nothing)
    with pytest.raises(
        FloatingPointError, match=r"failed in step 1 of 3: the gradient of .* is not f"
    ):
        fine_tuning.fine_tune(_model(), CONFIG, 3, done=40)
