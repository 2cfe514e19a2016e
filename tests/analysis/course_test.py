"""Curves, magnitudes, weights and batch norms of runs made by hand."""

import keras
import numpy as np
import pytest

from tests.analysis.made import observed
from tfquantseg.analysis import course
from tfquantseg.policy import INTEGER
from tfquantseg.transform import quantize


def log(losses: list[float], **miou: str) -> list[dict[str, str]]:
    """A log of these losses; `s3` is the score of step 3."""
    return [
        {"step": str(step), "loss": str(loss), "miou": miou.get(f"s{step}", "")}
        for step, loss in enumerate(losses, 1)
    ]


def test_a_loss_is_the_mean_of_the_steps_before() -> None:
    losses = [float(2 + step) for step in range(40)]
    figure = course.loss({"one": log(losses, s40="0.5"), "two": log(losses[:3])}, "both")
    assert figure.columns == ("run", "step", "loss", "mean_of_25", "miou")
    assert figure.rows[0] == ("one", 1, 2.0, 2.0, "")
    assert figure.rows[2] == ("one", 3, 4.0, 3.0, "")
    assert figure.rows[39] == ("one", 40, 41.0, np.mean(losses[15:]), "0.5")
    assert [row[0] for row in figure.rows].count("two") == 3
    assert figure.picture.width > course.loss({"two": log(losses)}, "one").picture.width


def test_an_empty_log_is_told() -> None:
    with pytest.raises(ValueError, match="one: the log holds no step yet"):
        course.loss({"one": []}, "none")


def test_magnitudes_are_those_of_the_gradients() -> None:
    steps = {
        4: [observed("a", "G", [0.1, -0.5], None), observed("b", "G", [1e-3, 0], None)],
        0: [observed("a", "G", [3.0], None), observed("a", "W", [9.0], None)],
    }
    figure = course.magnitudes(steps, "course")
    assert [row[:2] for row in figure.rows] == [(0, "a"), (4, "a"), (4, "b")]
    assert [row[2] for row in figure.rows] == pytest.approx([3.0, 0.5, 1e-3])
    with pytest.raises(ValueError, match="every gradient is zero"):
        course.magnitudes({0: [observed("a", "G", [0.0], None)]}, "course")


def test_weights_of_encoder_and_decoder() -> None:
    first = [observed("conv1", "W", [0.1] * 4, None), observed("score_fr", "W", [0.2] * 4, None)]
    last = [
        observed("conv1", "W", [0.1, 0.3, -0.3, 0.1], None),
        observed("score_fr", "W", [0.2] * 4, None),
    ]
    figure = course.weights(first, last, (0, 9), "weights")
    for part, step, wanted in (("encoder", 0, 0.1), ("decoder", 9, 0.2)):
        full = [row for row in figure.rows if row[:2] == (part, step) and row[4]]
        ((_, _, low, high, share),) = full
        # The bins end at the largest weight, a float32.
        assert low < wanted <= high * (1 + 1e-6) and share == 1
    assert {row[0] for row in figure.rows} == {"encoder", "decoder"}
    up = [observed("upscore8", "W", [0.5, 0.0, 0.0, 0.0], None)]
    more = course.weights(first + up, last + up, (0, 9), "weights")
    full = [row for row in more.rows if row[:2] == ("transposed convolutions", 9) and row[4]]
    assert sorted(row[4] for row in full) == [1 / 4, 3 / 4]
    with pytest.raises(ValueError, match="belongs to its decoder"):
        course.weights(first[:1], last[:1], (0, 9), "weights")


@pytest.mark.parametrize("quantized", [False, True])
def test_quartiles_of_batch_norms(quantized: bool) -> None:
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, use_bias=False, name="conv")(image)
    norm = keras.layers.BatchNormalization(name="bn")
    model = keras.Model(image, norm(x))
    # gamma, beta, the moving mean and the moving variance.
    weights = ([1, 1, 2, 3], [0, 0, 0, 0], [0, 1, 2, 4], [1, 4, 9, 16])
    norm.set_weights([np.array(weight, np.float32) for weight in weights])
    if quantized:
        model = quantize(model, INTEGER.changed("norm=l2"))
    figure = course.norms(model, "norms")
    rows = {row[0]: row[1:] for row in figure.rows}
    # The grids of mu and sigma have 16 bits; INTEGER's sigma keeps eps beside the variance apart.
    tolerance = 1e-3
    assert rows["sigma"] == pytest.approx((1, 1.75, 2.5, 3.25, 4, 0.5), abs=tolerance)
    assert rows["mu"] == pytest.approx((0, 0.75, 1.5, 2.5, 4, 0.25), abs=tolerance)
    # gamma lies on 8 bits of a limit of 4 at least: steps of 1/32.
    assert rows["gamma"] == pytest.approx((1, 1, 1.5, 2.25, 3, 0.25), abs=1 / 32)
    assert rows["beta"] == (0, 0, 0, 0, 0, 0)


def test_a_network_without_batch_norm() -> None:
    image = keras.Input((8, 8, 3))
    with pytest.raises(ValueError, match="no batch norm; leave out the figure norms"):
        course.norms(keras.Model(image, keras.layers.Conv2D(4, 3)(image)), "norms")
