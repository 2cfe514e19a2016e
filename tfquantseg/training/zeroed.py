"""How much of what flows through a quantized model its 8-bit grids round to zero.

A value or an error smaller than half a step becomes zero, and what it would have taught is lost;
where rounding is stochastic, it is lost in this step and right on average. The share is what to
look at first when a quantized network learns less than a float one: errors of few large and many
small values lose most.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from tfquantseg.losses import Loss
from tfquantseg.numerics import tapped_roundings


class ZeroedShares:
    """Measures a model on a batch, without changing it.

    Args:
        model: Float or quantized; images to logits. A float one rounds nothing.
        loss: A function of (labels, logits, ignore).
        ignore: Label of the pixels that do not count.
    """

    def __init__(self, model: keras.Model, loss: Loss, ignore: int) -> None:
        """Makes the function that measures, which is traced when it is first used."""
        self._model = model
        self._names: list[str] = []

        @tf.function(jit_compile=False)
        def measure(images: tf.Tensor, labels: tf.Tensor) -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                value = loss(labels, model(images, training=True), ignore)
            tape.gradient(value, model.trainable_variables)
            found = tapped_roundings(tf.compat.v1.get_default_graph())
            self._names = [f"{owner}/{letter}" for owner, letter, *_ in found]
            return [_share(value, integers) for *_, value, integers in found]

        self._measure = measure

    def of(self, images: tf.Tensor, labels: tf.Tensor) -> dict[str, float]:
        """Returns, by owner/letter, the share of the values not zero that became zero.

        Args:
            images: float32 [N, H, W, 3].
            labels: int32 [N, H, W].

        Returns:
            Shares from 0 to 1, of A and E1 by edge and of E1 or E2 by convolution; 0 where every
            value was zero before, the largest where several tensors share an edge.
        """
        # A pass as in training moves scales, statistics and random states: they are put back.
        states = [variable for variable in self._model.variables if not variable.trainable]
        before = [variable.numpy() for variable in states]
        shares = self._measure(images, labels)
        for variable, value in zip(states, before, strict=True):
            variable.assign(value)
        largest: dict[str, float] = {}
        for name, share in zip(self._names, shares, strict=True):
            largest[name] = max(float(share), largest.get(name, 0.0))
        return largest


def _share(value: tf.Tensor, integers: tf.Tensor) -> tf.Tensor:
    lost = tf.math.count_nonzero((value != 0) & (integers == 0), dtype=tf.float32)
    return tf.math.divide_no_nan(lost, tf.math.count_nonzero(value, dtype=tf.float32))
