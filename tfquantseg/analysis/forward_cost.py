"""What W and A cost, quantized alone: the rise of the loss on held out images.

The network is traced once, with a switch at each tensor that the plan quantizes; weights are put in
place of weights. So an object costs an evaluation, and no network is built for it. Of tensors that
share a step each is quantized by its own, which is at most as coarse.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfquantseg import metrics
from tfquantseg.analysis.sensitivity import FORWARD, Batches, Finding, Object
from tfquantseg.layers import set_evaluation_scales
from tfquantseg.losses import Loss
from tfquantseg.numerics import Scaled, ScaleOf, scale_of
from tfquantseg.transform import Plan


@dataclasses.dataclass(frozen=True)
class Level:
    """A network as it is.

    Attributes:
        loss: mean over the batches.
        miou: over all their images, a fraction.
    """

    loss: float
    miou: float


def level(model: keras.Model, loss: Loss, ignore: int, classes: int, batches: Batches) -> Level:
    """Returns loss and mIoU of a network, as in evaluation, each batch on its own scales.

    Args:
        model: float or quantized; images to logits.
        loss: a function of (labels, logits, ignore).
        ignore: label of the pixels that do not count.
        classes: how many there are.
        batches: held out.
    """
    set_evaluation_scales(model, "dynamic")
    return _level(_evaluator(model, loss, ignore), ignore, classes, batches)


def forward(
    planned: Plan,
    chosen: Sequence[Object],
    loss: Loss,
    ignore: int,
    classes: int,
    batches: Batches,
    seen: Callable[[], None] = lambda: None,
) -> Iterator[Finding]:
    """Measures W and A.

    Args:
        planned: of the float network, whose weights are as before when this ends.
        chosen: objects of it; others than W and A are left alone.
        loss: a function of (labels, logits, ignore).
        ignore: label of the pixels that do not count.
        classes: how many there are.
        batches: held out.
        seen: called after each object.

    Yields:
        A finding for each object.
    """
    some = [one for one in chosen if one.letter in FORWARD]
    model, switches = _switched(planned, [one for one in some if one.letter == "A"])
    run = _evaluator(model, loss, ignore)
    base = _level(run, ignore, classes, batches)
    for one in some:
        with _quantized(one, switches):
            now = _level(run, ignore, classes, batches)
        seen()
        yield Finding(one.layer, one.letter, now.loss - base.loss, now.miou - base.miou)


class _Switch(keras.layers.Layer):
    """A tensor, or what it is on its grid while the switch is on."""

    def __init__(self, grid: Scaled, scale: ScaleOf) -> None:
        super().__init__()
        self._grid, self._how = grid, scale
        self.on = tf.Variable(False, trainable=False)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.cond(self.on, lambda: self._on_grid(x), lambda: tf.identity(x))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def _on_grid(self, x: tf.Tensor) -> tf.Tensor:
        return self._grid.encode(x, scale=scale_of(x, self._how)).product()


def _switched(
    planned: Plan, activations: Sequence[Object]
) -> tuple[keras.Model, dict[int, list[_Switch]]]:
    """The network with a switch at each tensor, sharing all weights; the switches, by object."""
    switches: dict[int, list[_Switch]] = {}
    at: dict[tuple[int, int | None], _Switch] = {}
    for one in activations:
        assert one.grid is not None
        for tensor, reader in one.tensors:
            how = planned.policy(planned.graph.producer(tensor)).A_scale
            switch = at[id(tensor), reader] = _Switch(one.grid, how)
            switches.setdefault(id(one), []).append(switch)
    sources: dict[int, Any] = {}
    values: dict[int, Any] = {}
    for call in planned.graph.calls:
        if call.kind == "input":
            value = keras.Input(batch_shape=call.output.shape, dtype=call.output.dtype)
            sources[id(call.output)] = value
        else:
            read = {
                id(tensor): at[id(tensor), id(call)](values[id(tensor)])
                if (id(tensor), id(call)) in at
                else values[id(tensor)]
                for tensor in call.inputs
            }
            value = call.apply(read)
        switch_here = at.get((id(call.output), None))
        values[id(call.output)] = value if switch_here is None else switch_here(value)
    inputs = keras.tree.map_structure(lambda t: sources[id(t)], planned.graph.inputs)
    outputs = keras.tree.map_structure(lambda t: values[id(t)], planned.graph.outputs)
    return keras.Model(inputs, outputs), switches


@contextlib.contextmanager
def _quantized(one: Object, switches: Mapping[int, Sequence[_Switch]]) -> Iterator[None]:
    """While this is open, an object is quantized."""
    if one.letter == "W":
        kernel = one.call.operation.kernel
        before = kernel.numpy()
        kernel.assign(one.value)
        try:
            yield
        finally:
            kernel.assign(before)
        return
    for switch in switches[id(one)]:
        switch.on.assign(True)
    yield
    for switch in switches[id(one)]:
        switch.on.assign(False)


def _evaluator(model: keras.Model, loss: Loss, ignore: int) -> Callable[..., Any]:
    """Returns a function of a batch that gives loss and classes, traced once a shape."""

    @tf.function(jit_compile=False)
    def run(images: tf.Tensor, labels: tf.Tensor) -> Any:
        logits = model(images, training=False)
        return loss(labels, logits, ignore), tf.argmax(logits, -1, tf.int32)

    traced: dict[tuple[int, ...], Any] = {}

    def evaluate(images: np.ndarray, labels: np.ndarray) -> Any:
        batch = tf.constant(images), tf.constant(labels)
        if images.shape not in traced:
            traced[images.shape] = run.get_concrete_function(*batch)
        return traced[images.shape](*batch)

    return evaluate


def _level(run: Callable[..., Any], ignore: int, classes: int, batches: Batches) -> Level:
    values, counts = [], []
    for images, labels in batches:
        value, guess = run(images, labels)
        values.append(float(value))
        counts.append(metrics.confusion_matrices(labels, guess.numpy(), classes, ignore))
    return Level(float(np.mean(values)), metrics.scores(np.concatenate(counts)).miou)
