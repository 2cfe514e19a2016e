"""Audit: what the convolution kernels of one real training step received.

The step is traced, and in its graph every convolution kernel is found by its type, whoever made
it. What its two operands hold is then computed from those very tensors. Nothing is asked of the
layers but what they promise; so a layer that multiplied anything else would be seen.
"""

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfquantseg import kernels
from tfquantseg.analysis.audit_report import Audit, Operand, Product, problems
from tfquantseg.analysis.promises import FLOAT_BITS, NOTHING, Promise, letters_of, promises_of
from tfquantseg.numerics import PRODUCTS
from tfquantseg.numerics.taps import POINT

_OPERANDS = {
    "Conv2D": (0, 1),
    "Conv2DBackpropInput": (1, 2),
    "Conv2DBackpropFilter": (0, 2),
    "DepthwiseConv2dNative": (0, 1),
    "DepthwiseConv2dNativeBackpropInput": (1, 2),
    "DepthwiseConv2dNativeBackpropFilter": (0, 2),
    "TfquantsegConv2D": (0, 1),
    "TfquantsegConv2DBackpropInput": (1, 2),
    "TfquantsegConv2DBackpropFilter": (0, 1),
}
_SCOPE = re.compile(rf"(?:^|/){POINT}([^/]+)/({'|'.join(PRODUCTS)})(?:_\d+)?/[^/]+$")
_TAP = re.compile(
    rf"(?:^|/){POINT}([^/]+(?:/(?:kernel|bias|gamma|beta))?)"
    r"/(A|W|E1|E2|E1_times_W_step|E2_times_W_step|G|U)(?:_\d+)?/(integers|step)$"
)


def audit(
    model: keras.Model,
    loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    optimizer: keras.optimizers.Optimizer,
    images: Any,
    labels: Any,
    *,
    with_taps: bool = False,
) -> Audit:
    """Does one training step and returns what its convolution kernels received.

    The kernels are found in the step's graph by their type, whoever made them, and their operands
    are read from the very tensors that enter: nothing is asked of the layers but what their
    policies promise.

    Example:
        >>> print(audit(model, losses.softmax_cross_entropy, optimizer, images, labels))

    Args:
        model: float or quantized; its weights are updated.
        loss: a function of (labels, logits) that returns a scalar.
        optimizer: built here for the model's trainable variables, if it is not yet.
        images: float32 [N, H, W, 3].
        labels: int32 [N, H, W].
        with_taps: whether to keep the integers and steps of W, A, E1, E2, G and U.

    Returns:
        An `Audit`. Printed, it is a table with bits, range, zeros and clipping of both operands of
        every product; ``ok`` says whether all promises were kept, ``problems`` names those that
        were not (none is raised), and ``to_json()`` gives everything as plain dicts and lists.
    """
    if not optimizer.built:  # in the step, it would make variables, and the step be traced twice
        optimizer.build(model.trainable_variables)
    try:
        return _audit(model, loss, optimizer, images, labels, with_taps)
    except tf.errors.InvalidArgumentError:
        # Own kernels refuse operands that are no int8; TensorFlow's take them, to be looked at.
        with kernels.stock():
            return _audit(model, loss, optimizer, images, labels, with_taps)


def _audit(
    model: keras.Model,
    loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    optimizer: keras.optimizers.Optimizer,
    images: Any,
    labels: Any,
    with_taps: bool,
) -> Audit:
    promises = promises_of(model)
    found_kernels: list[tf.Operation] = []
    found: list[tuple[str, str]] = []
    tapped: list[tuple[str, str, tf.Tensor]] = []

    @tf.function(jit_compile=False)
    def step(images: tf.Tensor, labels: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            value = loss(labels, model(images, training=True))
        optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)
        graph = tf.compat.v1.get_default_graph()
        found_kernels.extend(_kernels(graph))
        if with_taps:
            tapped.extend(_taps(graph))
        found.extend(_identity(kernel, model) for kernel in found_kernels)
        statistics = [
            [
                _statistics(kernel.inputs[i], promise.last)
                for i, promise in zip(
                    _OPERANDS[kernel.type], promises.get(one, NOTHING), strict=True
                )
            ]
            for kernel, one in zip(found_kernels, found, strict=True)
        ]
        return statistics, [tensor for *_, tensor in tapped]

    statistics, values = step(tf.convert_to_tensor(images), tf.convert_to_tensor(labels))
    products = tuple(
        _product(kernel, one, both, letters_of(model, *one), promises.get(one, NOTHING))
        for kernel, one, both in zip(found_kernels, found, statistics, strict=True)
    )
    taps: dict[str, dict[str, np.ndarray]] = {}
    for (owner, part, _), value in zip(tapped, values, strict=True):
        taps.setdefault(owner, {})[part] = value.numpy()
    return Audit(products, problems(products, promises), taps)


def _kernels(graph: tf.Graph) -> list[tf.Operation]:
    """Returns all convolution kernels; one that is run again on the same tensors counts once."""
    found: dict[tuple[str, ...], tf.Operation] = {}
    for operation in graph.get_operations():
        if operation.type in _OPERANDS:
            tensors = (tensor.name for tensor in operation.inputs)
            found.setdefault((operation.type, *tensors), operation)
    return list(found.values())


def _product(
    kernel: tf.Operation,
    identity: tuple[str, str],
    statistics: Any,
    letters: tuple[str, str],
    promised: tuple[Promise, Promise],
) -> Product:
    first, second = (
        _operand(*held, unsigned=promise.unsigned)
        for held, promise in zip(statistics, promised, strict=True)
    )
    bits = promised[0].bits, promised[1].bits
    return Product(*identity, kernel.type, letters, (first, second), bits)


def _statistics(x: tf.Tensor, last: float) -> tuple[tf.Tensor, ...]:
    def share(flags: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.cast(flags, tf.float32))

    x = tf.cast(x, tf.float32)  # own kernels receive int8
    integer = tf.reduce_all(tf.floor(x) == x)
    return (
        integer,
        tf.reduce_min(x),
        tf.reduce_max(x),
        share(x == 0),
        share(tf.abs(x) >= last),
    )


def _operand(
    integer: tf.Tensor,
    least: tf.Tensor,
    most: tf.Tensor,
    zeros: tf.Tensor,
    clipped: tf.Tensor,
    *,
    unsigned: bool,
) -> Operand:
    low, high, bits = float(least), float(most), FLOAT_BITS
    unsigned = unsigned and low >= 0
    if bool(integer) and np.isfinite([low, high]).all():
        bits = 1
        while not (-(2 ** (bits - 1)) <= low and high <= Promise(bits, unsigned).last):
            bits += 1
    return Operand(min(bits, FLOAT_BITS), low, high, float(zeros), float(clipped), unsigned)


def _identity(kernel: tf.Operation, model: keras.Model) -> tuple[str, str]:
    """Returns (layer, product) of a kernel; (its own name, product) if it is no layer's."""
    found = _SCOPE.search(kernel.name)
    if found:
        return found[1], found[2]
    if "gradient_tape" not in kernel.name:
        product = "forward"
    elif kernel.type.endswith("Filter"):
        product = "weight_gradient"
    else:
        product = "input_gradient"
    # Keras names the scope of a float layer after it, with a counter where the name was taken.
    names = {layer.name for layer in model.layers}
    for scope in reversed(kernel.name.split("/")[:-1]):
        for name in (scope, re.sub(r"_\d+$", "", scope)):
            if name in names:
                return name, product
    return kernel.name, product


def _taps(graph: tf.Graph) -> list[tuple[str, str, tf.Tensor]]:
    """Returns (owner/letter, "integers" or "step", tensor) of every tap in a graph."""
    found = []
    for operation in graph.get_operations():
        match = _TAP.search(operation.name)
        if match and operation.type == "Identity":
            found.append((f"{match[1]}/{match[2]}", match[3], operation.outputs[0]))
    return found
