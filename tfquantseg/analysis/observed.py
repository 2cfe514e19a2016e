"""What flows through a network in one training step: values, and the integers that they became."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfquantseg.layers import QuantConv2D, QuantConv2DTranspose, QuantDepthwiseConv2D
from tfquantseg.losses import Loss
from tfquantseg.numerics import tapped_roundings

Floats = np.ndarray[Any, np.dtype[np.float32]]

LETTERS = ("W", "A", "E1", "E2", "G")
"""The objects that are observed, in the order in which figures show them."""
FORWARD = ("W", "A")

_QUANTIZED = (QuantConv2D, QuantDepthwiseConv2D, QuantConv2DTranspose)
_FLOAT = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.Conv2DTranspose,
)


@dataclasses.dataclass(frozen=True)
class Observed:
    """One tensor.

    Attributes:
        owner: the layer's name.
        letter: W, A, E1, E2 or G.
        values: float32 [n], before it was quantized.
        integers: float32 [n], behind it, or None where it stays in float32.
    """

    owner: str
    letter: str
    values: Floats
    integers: Floats | None

    @property
    def zeroed(self) -> float:
        """Share of the values not zero that became zero; 0 where it stays in float32."""
        if self.integers is None:
            return 0.0
        there = self.values != 0
        return float(np.mean(self.integers[there] == 0)) if there.any() else 0.0


def observe(
    model: keras.Model, loss: Loss, ignore: int, images: Any, labels: Any, seed: int = 0
) -> tuple[Observed, ...]:
    """Does the forward and backward pass of one training step, and returns what it saw.

    W and G are those of every convolution's kernel, G as the optimizer receives it. A, E1 and E2
    are those that the grids of a quantized network receive; around a convolution in float32, A is
    its input and E1 the error there. The model is as before when it returns.

    Args:
        model: float or quantized; images to logits, as a checkpoint holds it.
        loss: a function of (labels, logits, ignore).
        ignore: label of the pixels that do not count.
        images: float32 [N, H, W, 3].
        labels: int32 [N, H, W].
        seed: of the stochastic rounding of G, which is drawn here.
    """
    kernels = {
        layer.name: layer for layer in model.layers if isinstance(layer, (*_QUANTIZED, *_FLOAT))
    }
    plain = [layer for layer in kernels.values() if not isinstance(layer, _QUANTIZED)]
    inside = keras.Model(model.inputs, [*(layer.input for layer in plain), model.output])
    names: list[tuple[str, str]] = []

    @tf.function(jit_compile=False)
    def step(images: tf.Tensor, labels: tf.Tensor) -> Any:
        variables = [layer.kernel for layer in kernels.values()]
        with tf.GradientTape() as tape:
            *inputs, logits = tf.nest.flatten(inside(images, training=True))
            value = loss(labels, logits, ignore)
        gradients, errors = tape.gradient(value, (variables, inputs))
        found = tapped_roundings(tf.compat.v1.get_default_graph())
        names[:] = [(owner, letter) for owner, letter, *_ in found]
        errors = [tf.zeros([0]) if error is None else error for error in errors]
        return gradients, inputs, errors, [(value, integers) for *_, value, integers in found]

    states = [variable for variable in model.variables if not variable.trainable]
    before = [variable.numpy() for variable in states]
    gradients, inputs, errors, pairs = step(tf.constant(images), tf.constant(labels))
    for variable, old in zip(states, before, strict=True):
        variable.assign(old)

    observed = [_weight(layer) for layer in kernels.values()]
    for (owner, letter), (values, integers) in zip(names, pairs, strict=True):
        observed.append(Observed(owner, letter, _flat(values), _flat(integers)))
    for layer, values, error in zip(plain, inputs, errors, strict=True):
        observed.append(Observed(layer.name, "A", _flat(values), None))
        if int(tf.size(error)):
            observed.append(Observed(layer.name, "E1", _flat(error), None))
    for number, (layer, gradient) in enumerate(zip(kernels.values(), gradients, strict=True)):
        observed.append(_gradient(layer, gradient, (seed, number)))
    order = {letter: place for place, letter in enumerate(LETTERS)}
    return tuple(sorted(observed, key=lambda one: order[one.letter]))


def _weight(layer: Any) -> Observed:
    integers = None
    if isinstance(layer, _QUANTIZED) and layer.policy.k_W is not None:
        integers = _flat(layer.quantized_kernel().integers)
    return Observed(layer.name, "W", _flat(layer.kernel), integers)


def _gradient(layer: Any, gradient: tf.Tensor, seed: tuple[int, int]) -> Observed:
    rule = getattr(layer.kernel, "update_rule", None)
    grid = rule.G if rule else None
    integers = None if grid is None else _flat(grid.encode(gradient, seed).integers)
    return Observed(layer.name, "G", _flat(gradient), integers)


def _flat(tensor: Any) -> Floats:
    flat: Floats = np.asarray(tensor, np.float32).reshape(-1)
    return flat
