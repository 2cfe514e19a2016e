"""Tensors without height or width as images of one row, for what computes on [N, H, W, C] only."""

import tensorflow as tf


def as_rows(x: tf.Tensor) -> tf.Tensor:
    """Returns [N, C] as [N, 1, 1, C] and [N, L, C] as [N, 1, L, C]; [N, H, W, C] as it is.

    Args:
        x: of two to four dimensions, the last of a known size.
    """
    if x.shape.rank == 4:
        return x
    length = 1 if x.shape.rank == 2 else tf.shape(x)[1]
    return tf.reshape(x, [tf.shape(x)[0], 1, length, x.shape[-1]])


def without_rows(y: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Returns what was computed of `as_rows(like)` in as many dimensions as like has.

    Args:
        y: [N, H, W, D].
        like: of two to four dimensions, C in place of D.
    """
    if like.shape.rank == 4:
        return y
    flat = tf.reshape(y, [*tf.unstack(tf.shape(like))[:-1], y.shape[-1]])
    return tf.ensure_shape(flat, [*like.shape[:-1], y.shape[-1]])
