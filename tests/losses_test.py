"""Losses: values and gradients against closed-form NumPy, and the ignore label."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfquantseg import losses

CLASSES = 4


def _batch() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, CLASSES, (2, 3, 5)).astype(np.int32)
    labels[0, 0] = labels[1, 2, 3] = 255
    return labels, rng.normal(size=(2, 3, 5, CLASSES)).astype(np.float32) * 3


def _one_hot(labels: np.ndarray) -> np.ndarray:
    return (labels[..., None] == np.arange(CLASSES)).astype(np.float64)


def _value_and_gradient(
    loss: losses.Loss, labels: np.ndarray, scores: np.ndarray
) -> tuple[tf.Tensor, tf.Tensor]:
    scores = tf.constant(scores)
    with tf.GradientTape() as tape:
        tape.watch(scores)
        value = loss(labels, scores)
    return value, tape.gradient(value, scores)


def test_mse_is_the_mean_over_valid_pixels_and_classes() -> None:
    labels, scores = _batch()
    valid = labels != 255
    errors = scores.astype(np.float64) - _one_hot(labels)
    value, gradient = _value_and_gradient(losses.mse_one_hot, labels, scores)
    assert value.dtype == tf.float32 and value.shape == ()
    # float32 sums of 96 terms: a few units in the last place, 2^-23.
    np.testing.assert_allclose(value, (errors[valid] ** 2).mean(), rtol=1e-6)
    expected = 2 * errors * valid[..., None] / (valid.sum() * CLASSES)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)


def test_cross_entropy_is_the_mean_over_valid_pixels() -> None:
    labels, logits = _batch()
    valid = labels != 255
    exponentials = np.exp(logits.astype(np.float64))
    share = exponentials / exponentials.sum(-1, keepdims=True)
    value, gradient = _value_and_gradient(losses.softmax_cross_entropy, labels, logits)
    assert value.dtype == tf.float32 and value.shape == ()
    nats = -np.log((share * _one_hot(labels)).sum(-1)[valid])
    # exp and log in float32 are good to a few units in the last place, 2^-23.
    np.testing.assert_allclose(value, nats.mean(), rtol=1e-5)
    expected = (share - _one_hot(labels)) * valid[..., None] / valid.sum()
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-7)


def test_scores_of_half_precision_are_computed_in_float32() -> None:
    labels, scores = _batch()
    half = tf.cast(scores, tf.bfloat16)
    for loss in (losses.mse_one_hot, losses.softmax_cross_entropy):
        assert float(loss(labels, half)) == float(loss(labels, tf.cast(half, tf.float32)))


@pytest.mark.parametrize("loss", [losses.mse_one_hot, losses.softmax_cross_entropy])
def test_a_batch_of_ignored_pixels_has_no_loss_and_no_gradient(loss: losses.Loss) -> None:
    _, scores = _batch()
    value, gradient = _value_and_gradient(loss, np.full((2, 3, 5), 255), scores)
    assert float(value) == 0
    assert not np.any(gradient)


@pytest.mark.parametrize("loss", [losses.mse_one_hot, losses.softmax_cross_entropy])
def test_what_is_predicted_at_an_ignored_pixel_does_not_matter(loss: losses.Loss) -> None:
    labels, scores = _batch()
    other = np.where((labels == 255)[..., None], np.float32(1e4), scores)
    assert float(loss(labels, other)) == float(loss(labels, scores))


@pytest.mark.parametrize("loss", [losses.mse_one_hot, losses.softmax_cross_entropy])
def test_the_ignore_label_can_be_another(loss: losses.Loss) -> None:
    labels, scores = _batch()
    moved = np.where(labels == 255, 77, labels)
    assert float(loss(moved, scores, ignore=77)) == float(loss(labels, scores))


@pytest.mark.parametrize("loss", [losses.mse_one_hot, losses.softmax_cross_entropy])
def test_an_empty_batch_has_no_loss(loss: losses.Loss) -> None:
    value, gradient = _value_and_gradient(
        loss, np.zeros((0, 3, 5), np.int32), np.zeros((0, 3, 5, CLASSES), np.float32)
    )
    assert float(value) == 0 and gradient.shape == (0, 3, 5, CLASSES)


@pytest.mark.parametrize("loss", [losses.mse_one_hot, losses.softmax_cross_entropy])
@pytest.mark.parametrize("label", [-1, CLASSES])
def test_a_label_of_no_class_is_not_passed_over(loss: losses.Loss, label: int) -> None:
    labels, scores = _batch()
    labels[0, 1, 1] = label
    try:
        value = float(loss(labels, scores))
    except tf.errors.InvalidArgumentError as error:  # cross entropy on a CPU
        assert f"label value of {label}" in error.message
    else:
        assert np.isnan(value)


@pytest.mark.parametrize("loss", [losses.mse_one_hot, losses.softmax_cross_entropy])
def test_shapes_that_are_no_batch_are_named(loss: losses.Loss) -> None:
    labels, scores = _batch()
    for wrong in (labels[..., None], labels[:, 1:], labels[0]):
        with pytest.raises(ValueError, match=r"labels .* do not fit scores \(2, 3, 5, 4\)"):
            loss(wrong, scores)
    with pytest.raises(ValueError, match=r"accepted are labels \[N, H, W\] and scores \[N, H, W"):
        loss(labels[0], scores[0])


@pytest.mark.parametrize("loss", [losses.mse_one_hot, losses.softmax_cross_entropy])
@pytest.mark.parametrize("weights", [(1, 2), (1, 1, 1, -1), (1, 1, 1, float("nan")), ("1",) * 4])
def test_weights_that_are_not_one_a_class_are_named(loss: losses.Loss, weights: Any) -> None:
    with pytest.raises(ValueError, match=r"class_weights are .*; accepted are 4 numbers from 0"):
        loss(*_batch(), class_weights=weights)


@pytest.mark.parametrize("loss", [losses.mse_one_hot, losses.softmax_cross_entropy])
def test_keras_compile_takes_them(loss: losses.Loss) -> None:
    # Keras hands labels over as float32.
    labels, scores = _batch()
    model = keras.Sequential([keras.Input((3, 5, CLASSES)), keras.layers.Identity()])
    model.compile(loss=loss)
    assert model.evaluate(scores, labels, verbose=0) == pytest.approx(float(loss(labels, scores)))


@pytest.mark.parametrize("loss", [losses.mse_one_hot, losses.softmax_cross_entropy])
def test_class_weights_make_a_weighted_mean(loss: losses.Loss) -> None:
    labels, scores = _batch()
    weights = (0.5, 1.0, 4.0, 0.25)
    alone = np.zeros(labels.shape)
    for pixel in zip(*np.nonzero(labels != 255), strict=True):
        only = np.full_like(labels, 255)
        only[pixel] = labels[pixel]
        alone[pixel] = float(loss(only, scores))
    weight = np.where(labels == 255, 0, np.array([*weights, *[0] * 252])[labels])
    expected = (weight * alone).sum() / weight.sum()
    # exp and log in float32 are good to a few units in the last place, 2^-23.
    assert float(loss(labels, scores, class_weights=weights)) == pytest.approx(expected, rel=1e-5)
    assert float(loss(labels, scores, class_weights=(1.0,) * 4)) == float(loss(labels, scores))


@pytest.mark.parametrize("loss", [losses.mse_one_hot, losses.softmax_cross_entropy])
def test_classes_without_weight_count_nowhere(loss: losses.Loss) -> None:
    labels, scores = _batch()
    ignored = np.where(labels == 2, 255, labels)
    weights = (1.0, 1.0, 0.0, 1.0)
    expected = float(loss(ignored, scores))
    # The same terms in another sum.
    assert float(loss(labels, scores, class_weights=weights)) == pytest.approx(expected, rel=1e-6)
    assert float(loss(np.full_like(labels, 2), scores, class_weights=weights)) == 0


def test_get_gives_a_loss_its_class_weights() -> None:
    labels, scores = _batch()
    weights = [0.5, 1.0, 4.0, 0.25]
    weighted = losses.get("mse_one_hot", weights)
    expected = losses.mse_one_hot(labels, scores, class_weights=weights)
    assert float(weighted(labels, scores)) == float(expected)


def test_get_finds_a_loss_by_name() -> None:
    assert losses.get("mse_one_hot") is losses.mse_one_hot
    assert losses.get("softmax_cross_entropy") is losses.softmax_cross_entropy


def test_an_unknown_loss_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"'mse_onehot'.*accepted.*Did you mean 'mse_one_hot'\?"):
        losses.get("mse_onehot")
