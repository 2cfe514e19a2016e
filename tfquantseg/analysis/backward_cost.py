"""What E and G cost, quantized alone: the lost descent of a training step.

A batch is brought forward once. Each error is then quantized, and only the difference E_q - E is
brought backward from there: a backward pass is linear in the error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfquantseg.analysis.sensitivity import (
    BACKWARD,
    Batches,
    Finding,
    Object,
    kernels,
    lost_descent,
    relative_error,
)
from tfquantseg.layers import QuantConv2D, QuantConv2DTranspose, QuantDepthwiseConv2D
from tfquantseg.losses import Loss
from tfquantseg.policy import Rules
from tfquantseg.transform import Plan, quantize


def backward(
    planned: Plan,
    chosen: Sequence[Object],
    loss: Loss,
    ignore: int,
    batches: Batches,
    seed: int = 0,
    seen: Callable[[], None] = lambda: None,
) -> list[Finding]:
    """Measures E1, E2 and G.

    Args:
        planned: of the float network, which is as before when this returns.
        chosen: objects of it; others than E1, E2 and G are left alone.
        loss: a function of (labels, logits, ignore).
        ignore: label of the pixels that do not count.
        batches: of the training split.
        seed: of the stochastic rounding.
        seen: called after each object, of each batch.

    Returns:
        A finding for each object, its numbers means over the batches.
    """
    some = [one for one in chosen if one.letter in BACKWARD]
    where = {id(tensor): tensor for one in some for tensor, _ in one.tensors}
    place = {key: index for index, key in enumerate(where)}
    inside = keras.Model(planned.graph.inputs, [*where.values(), planned.graph.outputs])
    found: list[list[tuple[float, ...]]] = [[] for _ in some]
    states = [variable for variable in inside.variables if not variable.trainable]
    before = [variable.numpy() for variable in states]
    for number, (images, labels) in enumerate(batches):
        step = _Step(planned, inside, loss, ignore, images, labels)
        for index, one in enumerate(some):
            draw = (seed + index, number)
            tensor = place[id(one.tensors[0][0])] if one.tensors else None
            changed = step.changed(one, tensor, draw)
            measured: tuple[float, ...] = (lost_descent(step.gradients, changed),)
            if one.call is not None:
                own = step.names.index(one.call.name)
                exact, other = step.gradients[own], changed[own]
                measured += (1 - lost_descent([exact], [other]), relative_error(exact, other))
            found[index].append(measured)
            seen()
    for variable, old in zip(states, before, strict=True):
        variable.assign(old)
    made = []
    for one, values in zip(some, found, strict=True):
        lost, *own = np.mean(values, axis=0).tolist()
        made.append(Finding(one.layer, one.letter, None, None, lost, *own))
    return made


class _Step:
    """The gradients of one batch in float32, and what an object changes in them."""

    def __init__(
        self,
        planned: Plan,
        inside: keras.Model,
        loss: Loss,
        ignore: int,
        images: np.ndarray,
        labels: np.ndarray,
    ) -> None:
        named = kernels(planned)
        self.names = list(named)
        self._variables = [kernel.value for kernel in named.values()]
        with tf.GradientTape(persistent=True) as self._tape:
            *self._tensors, logits = tf.nest.flatten(inside(tf.constant(images), training=True))
            value = loss(tf.constant(labels), logits, ignore)
        self._errors = self._tape.gradient(
            value, self._tensors, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        self.gradients = self._gradients(value)

    def changed(self, one: Object, tensor: int | None, draw: tuple[int, int]) -> list[np.ndarray]:
        """Returns all gradients with one object quantized."""
        assert one.grid is not None
        if one.letter == "G":
            own = self.names.index(one.call.name)
            rounded = one.grid(tf.constant(self.gradients[own]), draw).numpy()
            return [*self.gradients[:own], rounded, *self.gradients[own + 1 :]]
        assert tensor is not None
        value, error = self._tensors[tensor], self._errors[tensor]
        if one.call is not None and one.letter == "E2":
            error = _before_activation(one.call.operation, value, error)
        rounded = one.grid(error, draw if one.grid.stochastic else None)
        moved = self._gradients(value, rounded - error)
        return [g + m for g, m in zip(self.gradients, moved, strict=True)]

    def _gradients(self, target: tf.Tensor, errors: tf.Tensor | None = None) -> list[np.ndarray]:
        found = self._tape.gradient(
            target,
            self._variables,
            output_gradients=errors,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        return [np.asarray(one) for one in found]


def lost_when_all(
    model: keras.Model,
    rules: Rules,
    unrounded: Rules,
    loss: Loss,
    ignore: int,
    batches: Batches,
    seed: int = 0,
) -> float:
    """Returns the lost descent of E and G together, by the quantized network itself.

    Args:
        model: float.
        rules: what is quantized where.
        unrounded: the same with E1, E2 and G in float32, so that both have one forward pass.
        loss: a function of (labels, logits, ignore).
        ignore: label of the pixels that do not count.
        batches: of the training split.
        seed: of the stochastic rounding of G.
    """
    steps = [_step(quantize(model, one), loss, ignore) for one in (rules, unrounded)]
    lost = []
    for number, (images, labels) in enumerate(batches):
        rounded, exact = (step(images, labels, (seed, number)) for step in steps)
        lost.append(lost_descent(exact, rounded))
    return float(np.mean(lost))


def _before_activation(layer: Any, output: tf.Tensor, error: tf.Tensor) -> tf.Tensor:
    """The error at a convolution's output, before the activation that the layer has built in.

    Where a ReLU passes no error on there is none, which no grid changes.
    """
    name = keras.activations.serialize(layer.activation)
    if name == "linear":
        return error
    passes = output > 0
    return tf.where(passes & (output < 6) if name == "relu6" else passes, error, 0.0)


def _step(model: keras.Model, loss: Loss, ignore: int) -> Callable[..., list[np.ndarray]]:
    """Returns a function of a batch and a seed: the gradients of all kernels, on the grids of G."""
    convolutions = (QuantConv2D, QuantDepthwiseConv2D, QuantConv2DTranspose)
    layers = [layer for layer in model.layers if isinstance(layer, convolutions)]
    variables = [layer.kernel.value for layer in layers]
    rules = [layer.kernel.update_rule for layer in layers]
    grids = [rule.G if rule else None for rule in rules]

    @tf.function(jit_compile=False)
    def step(images: tf.Tensor, labels: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            value = loss(labels, model(images, training=True), ignore)
        return tape.gradient(value, variables)

    def gradients(
        images: np.ndarray, labels: np.ndarray, seed: tuple[int, int]
    ) -> list[np.ndarray]:
        batch = tf.constant(images), tf.constant(labels)
        found = step.get_concrete_function(*batch)(*batch)
        return [
            np.asarray(one if grid is None else grid(one, (seed[0] + index, seed[1])))
            for index, (one, grid) in enumerate(zip(found, grids, strict=True))
        ]

    return gradients
