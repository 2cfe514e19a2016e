"""Losses on score maps, with a label that does not count.

N images of H x W pixels and C classes; V is the set of *valid* pixels, those whose label is not the
ignore label, over the whole batch. A batch without a valid pixel has loss 0 and gradient 0.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfquantseg.names import unknown_name

Loss = Callable[..., tf.Tensor]


def mse_one_hot(labels: tf.Tensor, scores: tf.Tensor, ignore: int = 255) -> tf.Tensor:
    r"""Mean squared error between the scores and the one-hot labels.

    $$\frac{1}{|V|\,C} \sum_{p \in V} \sum_{c=1}^{C} (s_{pc} - [y_p = c])^2$$

    The mean is over pixels and classes: the gradient of a score is 2 (s - [y = c]) / (|V| C).
    It is the loss that arXiv:2011.14504, section V-A, trains FCN8s with.

    Args:
        labels: Integers [N, H, W], classes 0..C-1 or `ignore`.
        scores: [N, H, W, C], compared as they are, with no softmax. Computed in float32.
        ignore: Label of the pixels that do not count.

    Returns:
        float32 scalar.
    """
    labels = tf.cast(labels, tf.int32)
    scores = tf.cast(scores, tf.float32)
    errors = tf.math.squared_difference(scores, tf.one_hot(labels, scores.shape[-1]))
    return _mean(tf.reduce_mean(errors, axis=-1), labels != ignore)


def softmax_cross_entropy(labels: tf.Tensor, logits: tf.Tensor, ignore: int = 255) -> tf.Tensor:
    r"""Cross entropy between softmax(logits) and the labels, in nats.

    $$\frac{1}{|V|} \sum_{p \in V} \Big(\log \sum_{c=1}^{C} e^{s_{pc}} - s_{p y_p}\Big)$$

    The gradient of a logit is (softmax(s) - [y = c]) / |V|.

    Args:
        labels: Integers [N, H, W], classes 0..C-1 or `ignore`.
        logits: [N, H, W, C]. Computed in float32.
        ignore: Label of the pixels that do not count.

    Returns:
        float32 scalar.
    """
    labels = tf.cast(labels, tf.int32)
    valid = labels != ignore
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=tf.where(valid, labels, 0), logits=tf.cast(logits, tf.float32)
    )
    return _mean(losses, valid)


def get(name: str) -> Loss:
    """Returns the loss of that name: `"mse_one_hot"` or `"softmax_cross_entropy"`.

    Raises:
        ValueError: The name is not known.
    """
    if name not in _LOSSES:
        raise unknown_name("loss", name, _LOSSES)
    return _LOSSES[name]


_LOSSES: dict[str, Loss] = {
    "mse_one_hot": mse_one_hot,
    "softmax_cross_entropy": softmax_cross_entropy,
}


def _mean(values: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    """Mean of `values` [N, H, W] where `valid`; 0 where nothing is."""
    total = tf.reduce_sum(tf.where(valid, values, 0.0))
    count = tf.reduce_sum(tf.cast(valid, tf.float32))
    return total / tf.maximum(count, 1.0)
