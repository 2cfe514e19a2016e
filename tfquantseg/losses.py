"""Losses on score maps, with a label that does not count.

N images of H x W pixels and C classes; V is the set of *valid* pixels, those whose label is not the
ignore label, over the whole batch. A batch without a valid pixel has loss 0 and gradient 0. Of
several replicas each has a part of the batch, and the mean of their losses is taken.

A label that is neither a class nor the ignore label has no loss: the whole loss is then NaN, which
the training loop reports (cross entropy on a CPU is refused by TensorFlow, with the label).

Both losses are means over V. With `class_weights` w, one a class, they are weighted means: pixel p
counts w[y_p] times, and the sum of the weights takes the place of |V|.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfquantseg.names import unknown_name

Loss = Callable[..., tf.Tensor]


def mse_one_hot(
    labels: tf.Tensor,
    scores: tf.Tensor,
    ignore: int = 255,
    class_weights: Sequence[float] | None = None,
) -> tf.Tensor:
    r"""Mean squared error between the scores and the one-hot labels.

    $$\frac{1}{|V|\,C} \sum_{p \in V} \sum_{c=1}^{C} (s_{pc} - [y_p = c])^2$$

    The mean is over pixels and classes: the gradient of a score is 2 (s - [y = c]) / (|V| C).
    It is the loss that arXiv:2011.14504, section V-A, trains FCN8s with.

    Args:
        labels: Integers [N, H, W], classes 0..C-1 or `ignore`.
        scores: [N, H, W, C], compared as they are, with no softmax. Computed in float32.
        ignore: Label of the pixels that do not count.
        class_weights: How much a pixel of each class counts; by default all the same.

    Returns:
        float32 scalar.

    Raises:
        ValueError: The shapes do not fit, or the weights are not one number from 0 a class.
    """
    _check(labels, scores, class_weights)
    labels = tf.cast(labels, tf.int32)
    scores = tf.cast(scores, tf.float32)
    errors = tf.math.squared_difference(scores, tf.one_hot(labels, scores.shape[-1]))
    known = (labels >= 0) & (labels < scores.shape[-1])
    values = tf.where(known, tf.reduce_mean(errors, axis=-1), float("nan"))
    return _mean(values, labels, ignore, class_weights)


def softmax_cross_entropy(
    labels: tf.Tensor,
    logits: tf.Tensor,
    ignore: int = 255,
    class_weights: Sequence[float] | None = None,
) -> tf.Tensor:
    r"""Cross entropy between softmax(logits) and the labels, in nats.

    $$\frac{1}{|V|} \sum_{p \in V} \Big(\log \sum_{c=1}^{C} e^{s_{pc}} - s_{p y_p}\Big)$$

    The gradient of a logit is (softmax(s) - [y = c]) / |V|.

    Args:
        labels: Integers [N, H, W], classes 0..C-1 or `ignore`.
        logits: [N, H, W, C]. Computed in float32.
        ignore: Label of the pixels that do not count.
        class_weights: How much a pixel of each class counts; by default all the same.

    Returns:
        float32 scalar.

    Raises:
        ValueError: The shapes do not fit, or the weights are not one number from 0 a class.
    """
    _check(labels, logits, class_weights)
    labels = tf.cast(labels, tf.int32)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=tf.where(labels != ignore, labels, 0), logits=tf.cast(logits, tf.float32)
    )
    return _mean(losses, labels, ignore, class_weights)


def get(name: str, class_weights: Sequence[float] | None = None) -> Loss:
    """Returns a loss of this module by its name, as a configuration file gives it.

    Args:
        name: `"mse_one_hot"` or `"softmax_cross_entropy"`.
        class_weights: How much a pixel of each class counts; by default all the same.

    Raises:
        ValueError: The name is not known.
    """
    if name not in _LOSSES:
        raise unknown_name("loss", name, _LOSSES)
    if class_weights is None:
        return _LOSSES[name]
    return functools.partial(_LOSSES[name], class_weights=tuple(class_weights))


_LOSSES: dict[str, Loss] = {
    "mse_one_hot": mse_one_hot,
    "softmax_cross_entropy": softmax_cross_entropy,
}


def _check(labels: tf.Tensor, scores: tf.Tensor, class_weights: Sequence[float] | None) -> None:
    """Refuses shapes that are no batch of label and score maps, and weights that are none."""
    truth, guess = tf.TensorShape(labels.shape), tf.TensorShape(scores.shape)
    fits = guess.rank in (None, 4) and (guess.rank is None or guess[:-1].is_compatible_with(truth))
    if not fits:
        raise ValueError(
            f"labels {truth} do not fit scores {guess}; accepted are labels [N, H, W] and scores "
            "[N, H, W, C]."
        )
    if class_weights is None:
        return
    right = all(isinstance(one, int | float) and 0 <= one < math.inf for one in class_weights)
    if not right or (guess.rank and len(class_weights) != guess[-1]):
        raise ValueError(
            f"class_weights are {tuple(class_weights)}; accepted are {guess[-1] or 'C'} numbers "
            "from 0, one a class."
        )


def _mean(
    values: tf.Tensor,
    labels: tf.Tensor,
    ignore: int,
    class_weights: Sequence[float] | None,
) -> tf.Tensor:
    """Mean of `values` [N, H, W] over the valid pixels, weighted; 0 where there are none."""
    valid = labels != ignore
    weights = tf.cast(valid, tf.float32)
    if class_weights is not None:
        table = tf.constant(class_weights, tf.float32)
        weights *= tf.gather(table, tf.where(valid, labels, 0))
    total, weight = tf.reduce_sum(tf.where(valid, values * weights, 0.0)), tf.reduce_sum(weights)
    return total / tf.where(weight > 0, weight, 1.0)
