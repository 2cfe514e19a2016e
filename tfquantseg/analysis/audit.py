"""Audit: what the convolution kernels of one real training step received.

The step is traced, and in its graph every convolution kernel is found by its type, whoever made
it. What its two operands hold is then computed from those very tensors. Nothing is asked of the
layers but what they promise; so a layer that multiplied anything else would be seen.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfquantseg import kernels
from tfquantseg.layers import QuantConv2D, QuantConv2DTranspose, QuantDepthwiseConv2D
from tfquantseg.numerics import PRODUCTS
from tfquantseg.numerics.taps import POINT

FLOAT_BITS = 32

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
_LETTERS = {
    "forward": ("A", "W"),
    "input_gradient": ("W", "E"),
    "weight_gradient": ("A", "E"),
}
_LEGEND = """\
Operands: A activations, W weights, E errors, as the kernels of one training step received them.
Bits: of the smallest integer that holds all values, with u an unsigned one; 32 where a value is no
integer.
Zeros, clipped: share of the values that are 0, and that lie on the last integer of their grid,
where clipping would show.
A product has a line for each kernel: two where the layer is called twice, or where its error is two
integers of few bits each (E_grid="flag")."""
_SCOPE = re.compile(rf"(?:^|/){POINT}([^/]+)/({'|'.join(PRODUCTS)})(?:_\d+)?/[^/]+$")
_TAP = re.compile(
    rf"(?:^|/){POINT}([^/]+(?:/(?:kernel|bias|gamma|beta))?)"
    r"/(A|W|E1|E2|E1_times_W_step|E2_times_W_step|G|U)(?:_\d+)?/(integers|step)$"
)


@dataclasses.dataclass(frozen=True)
class Operand:
    """What one operand of one product held.

    Attributes:
        bits: of the smallest integer that holds all values, in two's complement, or unsigned where
            the grid is; 32 where a value is not an integer.
        least: the smallest value.
        most: the largest value.
        zeros: share of the values that are zero.
        clipped: share of the values on the last integer that the promised bits hold, where
            clipping shows.
        unsigned: whether the integers lie on an unsigned grid, and none is negative.
    """

    bits: int
    least: float
    most: float
    zeros: float
    clipped: float
    unsigned: bool = False

    @property
    def bits_text(self) -> str:
        """The bits for tables, "u8" for those of unsigned integers."""
        return f"{'u' if self.unsigned else ''}{self.bits}"


@dataclasses.dataclass(frozen=True)
class Promise:
    """What a layer's policy promises of an operand: at most so many bits, of which kind."""

    bits: int
    unsigned: bool = False

    @property
    def last(self) -> float:
        """The last integer of the grid."""
        return 2.0 ** (self.bits if self.unsigned else self.bits - 1) - 1


_NONE = (Promise(FLOAT_BITS), Promise(FLOAT_BITS))


@dataclasses.dataclass(frozen=True)
class Product:
    """One kernel that ran.

    Attributes:
        convolution: the layer's name.
        product: "forward", "input_gradient" or "weight_gradient".
        kernel: TensorFlow's name of its type.
        letters: the paper's letters of its two operands: A and W, W and E, or A and E; the other
            way round where the convolution is a transposed one.
        operands: what its two operands held.
        promised: the bits that the layer's policy promises of each.
    """

    convolution: str
    product: str
    kernel: str
    letters: tuple[str, str]
    operands: tuple[Operand, Operand]
    promised: tuple[int, int]

    @property
    def kept(self) -> bool:
        """Whether both operands need no more bits than promised."""
        return all(o.bits <= bits for o, bits in zip(self.operands, self.promised, strict=True))


@dataclasses.dataclass(frozen=True)
class Audit:
    """The products of one step, and what is wrong with them.

    Attributes:
        products: every convolution kernel of the step, in the graph's order.
        problems: sentences; empty if every promise was kept.
        taps: by owner/letter, the integers and the step, where they were asked for.
    """

    products: tuple[Product, ...]
    problems: tuple[str, ...]
    taps: Mapping[str, Mapping[str, np.ndarray]]

    @property
    def ok(self) -> bool:
        """Whether every promise was kept."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Returns ``ok``, ``share_of_operands_within_8_bits``, ``problems``, ``convolutions``."""
        by_name: dict[str, dict[str, Any]] = {}
        for product in self.products:
            entry = by_name.setdefault(product.convolution, {"name": product.convolution})
            times = 1 + sum(key.startswith(product.product) for key in entry)
            entry[product.product + (f"_{times}" if times > 1 else "")] = {
                "bits": [operand.bits for operand in product.operands],
                "promised": list(product.promised),
                "kernel": product.kernel,
                "operands": [
                    {"letter": letter, **dataclasses.asdict(operand)}
                    for letter, operand in zip(product.letters, product.operands, strict=True)
                ],
            }
        operands = [operand for product in self.products for operand in product.operands]
        within = sum(operand.bits <= 8 for operand in operands)
        return {
            "ok": self.ok,
            "share_of_operands_within_8_bits": within / max(len(operands), 1),
            "operands": len(operands),
            "problems": list(self.problems),
            "convolutions": list(by_name.values()),
        }

    def __str__(self) -> str:
        """Returns a table, one line a product, and what its columns mean."""
        rows = [("convolution", "product", "operands", "bits", "range", "", "zeros", "clipped")]
        for p in self.products:
            a, b = p.operands
            rows.append(
                (
                    p.convolution,
                    p.product,
                    " x ".join(p.letters),
                    f"{a.bits_text} x {b.bits_text}",
                    f"{a.least:.4g}..{a.most:.4g}",
                    f"{b.least:.4g}..{b.most:.4g}",
                    f"{a.zeros:.0%} {b.zeros:.0%}",
                    f"{a.clipped:.2%} {b.clipped:.2%}",
                )
            )
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join([*map(str.ljust, row[:3], widths), *map(str.rjust, row[3:], widths[3:])])
            for row in rows
        ]
        return "\n".join([*lines, "", _LEGEND])


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
    promises = _promises(model)
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
                for i, promise in zip(_OPERANDS[kernel.type], promises.get(one, _NONE), strict=True)
            ]
            for kernel, one in zip(found_kernels, found, strict=True)
        ]
        return statistics, [tensor for *_, tensor in tapped]

    statistics, values = step(tf.convert_to_tensor(images), tf.convert_to_tensor(labels))
    products = tuple(
        _product(kernel, one, both, _letters(model, *one), promises.get(one, _NONE))
        for kernel, one, both in zip(found_kernels, found, statistics, strict=True)
    )
    taps: dict[str, dict[str, np.ndarray]] = {}
    for (owner, part, _), value in zip(tapped, values, strict=True):
        taps.setdefault(owner, {})[part] = value.numpy()
    return Audit(products, tuple(_problems(products, promises)), taps)


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


def _promises(model: keras.Model) -> dict[tuple[str, str], tuple[Promise, Promise]]:
    """Returns, by layer and product, what a policy promises of the kernel's operands."""
    promises: dict[tuple[str, str], tuple[Promise, Promise]] = {}
    for layer in model.layers:
        if not isinstance(layer, QuantConv2D | QuantDepthwiseConv2D | QuantConv2DTranspose):
            continue
        policy = layer.policy
        error_bits = {"E1": policy.k_E1, "E2": policy.k_E2, "none": None}[layer.error_grid]
        promise = {
            "A": Promise(policy.k_A or FLOAT_BITS, layer.A_unsigned),
            "W": Promise(policy.k_W or FLOAT_BITS),
            "E": Promise(error_bits or FLOAT_BITS),
        }
        for product in PRODUCTS:
            first, second = _letters(model, layer.name, product)
            promises[layer.name, product] = promise[first], promise[second]
    return promises


def _letters(model: keras.Model, name: str, product: str) -> tuple[str, str]:
    """Returns the letters of the two operands of a layer's product."""
    first, second = _LETTERS[product]
    transposed = (
        layer.name == name
        and isinstance(layer, QuantConv2DTranspose | keras.layers.Conv2DTranspose)
        for layer in model.layers
    )
    return (second, first) if any(transposed) else (first, second)


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


def _problems(products: tuple[Product, ...], promises: Mapping[tuple[str, str], Any]) -> list[str]:
    problems = []
    for product in products:
        if not product.kept:
            received = " x ".join(operand.bits_text for operand in product.operands)
            promised = " x ".join(str(bits) for bits in product.promised)
            problems.append(
                f"{product.convolution}, {product.product}: {received} bits, promised {promised}."
            )
    ran = {(product.convolution, product.product) for product in products}
    for layer, name in promises:
        if (layer, name) not in ran:
            problems.append(f"{layer}, {name}: no such kernel ran.")
    return problems


def _taps(graph: tf.Graph) -> list[tuple[str, str, tf.Tensor]]:
    """Returns (owner/letter, "integers" or "step", tensor) of every tap in a graph."""
    found = []
    for operation in graph.get_operations():
        match = _TAP.search(operation.name)
        if match and operation.type == "Identity":
            found.append((f"{match[1]}/{match[2]}", match[3], operation.outputs[0]))
    return found
