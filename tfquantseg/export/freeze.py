"""Freeze: a trained model's integers and steps as constants, its batch norms folded.

A weight's integers are those that training multiplied, W_q, up to the sign of its channel's gamma,
and an activation's step is that of the model's running scale: the estimate that training kept, or
what `hold_scales` put in its place (`calibration`).
What training computed on real values in between (sums, batch norm, ReLU) becomes one integer
operation with the step of the edge behind it (`fold`).
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfquantseg.export import fold, fold_functions
from tfquantseg.export.frozen_values import Integers, Pixels, Real, Step, Value, expect, no_form
from tfquantseg.export.functions import UNIT_STEP, Softmax
from tfquantseg.export.network import (
    Concatenate,
    Crop,
    Network,
    Operation,
    Pad,
    Pool,
    Repeat,
    Requantize,
    Resize,
    Shape,
    Sides,
    Tensor,
    same_padding,
)
from tfquantseg.layers import (
    BatchNorm,
    Product,
    QuantConv2D,
    QuantConv2DTranspose,
    QuantDepthwiseConv2D,
    QuantDropout,
    QuantEdge,
    QuantPReLU,
    RoundOnStep,
    is_affine,
)
from tfquantseg.models.broadcast import BroadcastLike
from tfquantseg.transform.replacements import instead_of

_L = keras.layers


def freeze(model: keras.Model, height: int, width: int) -> Network:
    """Returns the integer network that a trained model computes at one image size.

    Args:
        model: what `quantize` returned, after training.
        height: of the image in pixels; a multiple of the model's stride.
        width: the same.

    Returns:
        The network, its steps the running estimates.

    Raises:
        ValueError: the model is not quantized or not trained, its policy is one that 8-bit files
            can't hold, an operation has no 8-bit form, or the size does not fit.
    """
    if not any(isinstance(layer, QuantEdge) for layer in model.layers):
        raise ValueError(
            f"model {model.name!r} computes in float32: there are no integers to write. Train it "
            "with a policy such as INTEGER (--config.policy=INTEGER), or quantize it first."
        )
    return _Freezer(model, (height, width)).network()


def integers_of(model: keras.Model, network: Network) -> Callable[[np.ndarray], dict[str, Any]]:
    """Returns a function that gives what the model's graph holds where the network holds integers.

    Args:
        model: the model that was frozen.
        network: what `freeze` made of it.

    Returns:
        A function of an image, uint8 [H, W, 3], to int8 arrays [H, W, C] by tensor name; where the
        network gives classes, these too, int32 [H, W], as the model's real logits have them.
    """
    freezer = _Freezer(model, network.image.shape[:2])
    freezer.network()
    tensors, known = freezer.integers()
    graph = keras.Model(model.inputs, [tensors, model.outputs])

    def integers(image: np.ndarray) -> dict[str, Any]:
        held, (logits,) = graph([image[np.newaxis].astype(np.float32)], training=False)
        found = {
            name: (values[0].numpy() + known[name].zero_point)
            .reshape(known[name].shape)  # a pooled position may have no height and width
            .astype(np.int8)
            for name, values in held.items()
        }
        if network.gives_classes:
            found[network.output.name] = tf.argmax(logits[0], -1, tf.int32).numpy()
        return found

    return integers


class _Freezer:
    """Walks the model's graph once, and knows of each tensor what it is on a device."""

    def __init__(self, model: keras.Model, size: Sides) -> None:
        self._model = model
        self._size = size
        self._known: dict[int, Any] = {}
        self._tensors: list[tuple[Any, Any]] = []
        self._operations: list[Operation] = []
        self._edges: dict[str, tuple[Tensor, ...]] = {}
        self._names: set[str] = set()
        self._image: Tensor | None = None

    def network(self) -> Network:
        for depth in sorted(self._model._nodes_by_depth, reverse=True):
            for node in self._model._nodes_by_depth[depth]:
                values = [self._known[id(tensor)] for tensor in node.input_tensors]
                made = self._make(node.operation, values)
                for tensor, value in zip(node.outputs, made, strict=True):
                    self._known[id(tensor)] = value
                    self._tensors.append((tensor, value))
        ends = [self._end(tensor) for tensor in keras.tree.flatten(self._model.outputs)]
        if len(ends) != 1 or not isinstance(ends[0], Value | Integers):
            raise ValueError(
                f"model {self._model.name!r} returns {len(ends)} tensors, or one that is not on an "
                "8-bit grid; a file holds one output, the logits [N, H, W, C] of the last layer."
            )
        assert self._image is not None
        return Network(
            self._model.name, self._image, tuple(self._operations), ends[0].tensor, self._edges
        )

    def _end(self, tensor: Any) -> Any:
        """What an output is; a softmax, which training leaves in float32, gets its step here."""
        value = self._known[id(tensor)]
        if not isinstance(value, Real) or value.kind is not Softmax:
            return value
        made = Integers(self._add(value.on(self._named(value.name), UNIT_STEP, -128)))
        whole = keras.ops.clip(keras.ops.round(tensor / UNIT_STEP), 0, 255)
        self._tensors.append((whole, made))
        return made

    def integers(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The model's symbolic integers, and what they are, by the network's names."""
        held = [(known.tensor, t) for t, known in self._tensors if isinstance(known, Integers)]
        return {one.name: t for one, t in held}, {one.name: one for one, _ in held}

    def _make(self, operation: Any, values: list[Any]) -> tuple[Any, ...]:
        """Returns what the outputs of one call are."""
        if isinstance(operation, _L.InputLayer):
            return (self._pixels(operation),)
        if isinstance(operation, QuantEdge):
            return self._edge(operation, values)
        if isinstance(operation, QuantDropout):
            return tuple(values)
        if is_affine(operation):
            return (fold_functions.affine(operation, values[0]),)
        for types, handle in _HANDLERS:
            if isinstance(operation, types):
                return (handle(self, operation, values),)
        if type(operation).__module__.startswith("keras.src.ops."):
            on_tensors = _OPS.get(type(operation).__name__)
            if on_tensors is not None:
                return (on_tensors(self, operation, values),)
        raise no_form(operation, f"has no 8-bit form{instead_of(type(operation))}")

    def _pixels(self, operation: Any) -> Pixels:
        height, width, channels = operation.batch_shape[1:]
        for side, built, asked in zip(
            ("height", "width"), (height, width), self._size, strict=True
        ):
            if built not in (None, asked):
                raise ValueError(f"the model was built for {side} {built}; received {asked}.")
        if channels != 3:
            raise ValueError(f"the model takes {channels} channels; files take images of 3.")
        return Pixels((*self._size, channels))

    # Edges: where real values become integers.

    def _edge(self, edge: QuantEdge, values: list[Any]) -> tuple[Any, ...]:
        step = self._step_of(edge)
        tensors = tuple(self._on_edge(edge, value, step) for value in values)
        self._edges[edge.name] = tensors
        return (*map(Integers, tensors), Step(tensors[0]))

    def _step_of(self, edge: QuantEdge) -> float:
        policy = edge.policy
        if policy.k_A != 8 or policy.A_grid != "scaled" or policy.A_at != "every_tensor":
            raise ValueError(
                f"{edge.name!r}: policy {policy.name} keeps some activations off 8-bit grids "
                f"(k_A={policy.k_A}, A_grid={policy.A_grid}, A_at={policy.A_at}), and an int8 file "
                "holds no other; train with INTEGER, or a policy with A_at='every_tensor'."
            )
        if edge.fixed_step is not None:
            return float(np.float32(edge.fixed_step))
        scale = float(edge.running_scale.numpy())
        if not scale > 0:
            raise ValueError(
                f"{edge.name!r} has no scale: the model was not trained, or trained elsewhere. "
                "Train it, or give it the images of a few training steps."
            )
        grid = policy.A(non_negative=edge.non_negative)
        assert grid is not None
        return float(grid.encode(tf.zeros([1]), scale=tf.constant(scale, tf.float32)).step)

    def _on_edge(self, edge: QuantEdge, value: Any, step: float) -> Tensor:
        if isinstance(value, Pixels):
            if edge.fixed_scale is None:
                raise ValueError(
                    f"{edge.name!r}: the image does not enter on a grid; begin the model with "
                    "Rescaling(1/128, offset=-1), which puts bytes on it exactly."
                )
            self._image = Tensor(self._named("image"), value.shape, step)
            return self._image
        if isinstance(value, Value):
            shape, name = value.tensor.shape, edge.name
            value = Real(name, Requantize, (value.tensor,), shape, {"activation": "linear"})
        return self._add(value.on(self._named(value.name), step, -128 if edge.unsigned else 0))

    def _named(self, name: str) -> str:
        """A name that no tensor has yet."""
        count, unique = 1, name
        while unique in self._names:
            count, unique = count + 1, f"{name}_call{count + 1}"
        self._names.add(unique)
        return unique

    def _add(self, operation: Operation) -> Tensor:
        self._operations.append(operation)
        return operation.output

    # Layers that act on integers and keep the step.

    def _kept(
        self, operation: Any, made: type[Operation], tensor: Tensor, sides: Sides, **fields: Any
    ) -> Integers:
        shape = (*sides, tensor.shape[2])
        output = dataclasses.replace(tensor, name=self._named(operation.name), shape=shape)
        return Integers(self._add(made(inputs=(tensor,), output=output, **fields)))

    def _pooled(self, operation: Any, values: list[Any]) -> Integers:
        tensor = expect(values[0], Integers, operation.name).tensor
        size, strides = operation.pool_size, operation.strides
        padding = operation.padding.upper()
        return self._kept(
            operation,
            Pool,
            tensor,
            _window_sides(tensor.shape, size, strides, (1, 1), padding),
            kind="max" if isinstance(operation, _L.MaxPooling2D) else "average",
            size=tuple(size),
            strides=tuple(strides),
            padding=padding,
        )

    def _resized(self, operation: Any, values: list[Any]) -> Integers:
        tensor = expect(values[0], Integers, operation.name).tensor
        if isinstance(operation, _L.UpSampling2D):
            factors = operation.size
            sides = (tensor.shape[0] * factors[0], tensor.shape[1] * factors[1])
        else:
            sides = (operation.height, operation.width)
        return self._kept(operation, Resize, tensor, sides, kind=operation.interpolation)

    def _repeated(self, operation: Any, values: list[Any]) -> Integers:
        one, like = (expect(value, Integers, operation.name).tensor for value in values)
        return self._kept(operation, Repeat, one, like.shape[:2])

    def _padded(self, operation: Any, values: list[Any]) -> Integers:
        tensor = expect(values[0], Integers, operation.name).tensor
        (top, bottom), (left, right) = operation.padding
        height, width, _ = tensor.shape
        sides = (height + top + bottom, width + left + right)
        fields = {"before": (top, left), "after": (bottom, right)}
        return self._kept(operation, Pad, tensor, sides, **fields)

    def _cropped(self, operation: Any, values: list[Any]) -> Integers:
        tensor = expect(values[0], Integers, operation.name).tensor
        (top, bottom), (left, right) = operation.cropping
        height, width, _ = tensor.shape
        sides = (height - top - bottom, width - left - right)
        return self._kept(operation, Crop, tensor, sides, start=(top, left))

    def _joined(self, operation: Any, values: list[Any]) -> Integers:
        tensors = tuple(expect(value, Integers, operation.name).tensor for value in values)
        if operation.axis not in (-1, 3) or len({t.shape[:2] for t in tensors}) != 1:
            raise no_form(operation, "joins along another axis than the channels")
        channels = sum(tensor.shape[2] for tensor in tensors)
        shape = (*tensors[0].shape[:2], channels)
        output = dataclasses.replace(tensors[0], name=self._named(operation.name), shape=shape)
        return Integers(self._add(Concatenate(inputs=tensors, output=output)))

    def _same(self, operation: Any, values: list[Any]) -> Any:
        del operation  # A resize or an average has rounded already, as the device does.
        return values[0]


def _folded(make: Callable[[Any, list[Any]], Any]) -> Callable[..., Any]:
    """A function of layer and inputs as a handler, which gets the freezer too."""
    return lambda freezer, operation, values: make(operation, values)


_HANDLERS: tuple[tuple[Any, Callable[..., Any]], ...] = (
    ((QuantConv2D, QuantDepthwiseConv2D, QuantConv2DTranspose), _folded(fold.convolved)),
    (BatchNorm, _folded(fold.normed)),
    (_L.ReLU, _folded(fold.activated)),
    (_L.Activation, _folded(fold_functions.activated)),
    (_L.Softmax, _folded(fold_functions.function)),
    ((QuantPReLU, _L.LeakyReLU), _folded(fold_functions.bent)),
    (_L.Multiply, _folded(fold_functions.multiplied)),
    (_L.Subtract, _folded(fold_functions.subtracted)),
    (_L.Reshape, _folded(fold_functions.reshaped)),
    (Product, _folded(fold.product)),
    (_L.Add, _folded(fold.total)),
    (_L.GlobalAveragePooling2D, _folded(fold.mean)),
    ((_L.MaxPooling2D, _L.AveragePooling2D), _Freezer._pooled),
    ((_L.UpSampling2D, _L.Resizing), _Freezer._resized),
    (BroadcastLike, _Freezer._repeated),
    (_L.ZeroPadding2D, _Freezer._padded),
    (_L.Cropping2D, _Freezer._cropped),
    (_L.Concatenate, _Freezer._joined),
    ((RoundOnStep, _L.Identity), _Freezer._same),
)

_OPS: dict[str, Callable[..., Any]] = {
    "Add": _folded(fold.total),
    "Concatenate": _Freezer._joined,
    "ExpandDims": _folded(fold_functions.reshaped),
    "Mean": _folded(fold.mean),
    "Multiply": _folded(fold_functions.multiplied),
    "Relu": _folded(fold.activated),
    "Relu6": _folded(fold.activated),
    "Reshape": _folded(fold_functions.reshaped),
    "Softmax": _folded(fold_functions.function),
    "Subtract": _folded(fold_functions.subtracted),
}
"""Bare `keras.ops` that models call on tensors, by the name of their class."""


def _window_sides(
    shape: Shape, size: Sides, strides: Sides, dilations: Sides, padding: str
) -> Sides:
    """Height and width of what a window leaves."""
    sides = []
    for length, window, stride, dilation in zip(shape[:2], size, strides, dilations, strict=True):
        added = sum(same_padding(length, window, stride, dilation)) if padding == "SAME" else 0
        sides.append((length + added - (window - 1) * dilation - 1) // stride + 1)
    return sides[0], sides[1]
