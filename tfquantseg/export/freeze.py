"""Freeze: a trained model's integers and steps as constants, its batch norms folded.

A weight's integers are those that training multiplied, W_q, up to the sign of its channel's gamma,
and an activation's step is that of the model's running scale: the estimate that training kept, or
what `hold_scales` put in its place (`calibration`).
What training computed on real values in between (sums, batch norm, ReLU) becomes one integer
operation with the step of the edge behind it (`fold`).
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfquantseg.export import fold, fold_functions, moves
from tfquantseg.export.frozen_values import Integers, Pixels, Real, Step, Value, no_form
from tfquantseg.export.functions import UNIT_STEP, Softmax
from tfquantseg.export.network import (
    Convolution,
    Network,
    Operation,
    Requantize,
    Sides,
    Tensor,
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
        height: of the image in pixels; a multiple of the model's stride. Of several images those
            take it whose sizes the model leaves open.
        width: the same.

    Returns:
        The network, its steps the running estimates.

    Raises:
        ValueError: the model is not quantized or not trained, its policy is one that 8-bit files
            can't hold, an operation has no 8-bit form, a bias does not fit 32 bits, or the size
            does not fit.
    """
    if not all(isinstance(side, int) and side > 0 for side in (height, width)):
        raise ValueError(
            f"height and width are {height!r} and {width!r}; a file is of one size: give two "
            "numbers of pixels, also for a model that takes images of any."
        )
    if not isinstance(model, keras.Model):
        raise ValueError(f"model must be a keras.Model, received a {type(model).__name__}.")
    if not any(isinstance(layer, QuantEdge) for layer in model.layers):
        raise ValueError(
            f"model {model.name!r} computes in float32: there are no integers to write. Train it "
            "with a policy such as INTEGER (--config.policy=INTEGER), or quantize it first."
        )
    return Freezer(model, (height, width)).network()


class Freezer:
    """Walks the model's graph once, and knows of each tensor what it is on a device."""

    def __init__(self, model: keras.Model, size: Sides) -> None:
        """Begins with a model and the height and width of its image."""
        self._model = model
        self._size = size
        self._known: dict[int, Any] = {}
        self._tensors: list[tuple[Any, Any]] = []
        self._operations: list[Operation] = []
        self._edges: dict[str, tuple[Tensor, ...]] = {}
        self._names: set[str] = set()
        self._images: dict[str, Tensor] = {}

    def network(self) -> Network:
        """Returns the network."""
        for depth in sorted(self._model._nodes_by_depth, reverse=True):
            for node in self._model._nodes_by_depth[depth]:
                values = [self._known[id(tensor)] for tensor in node.input_tensors]
                made = self._make(node.operation, values)
                for tensor, value in zip(node.outputs, made, strict=True):
                    self._known[id(tensor)] = value
                    self._tensors.append((tensor, value))
        ends = {id(tensor): self._end(tensor) for tensor in self._model.outputs}
        for tensor in self._model.outputs:
            if not isinstance(ends[id(tensor)], Value | Integers):
                name = tensor._keras_history.operation.name
                raise ValueError(
                    f"model {self._model.name!r} returns what {name!r} makes, which is not on an "
                    "8-bit grid, and an int8 file returns nothing else. Let a layer that INTEGER "
                    "quantizes make every output."
                )
        for tensor in self._model.inputs:
            if tensor.name not in self._images:
                raise ValueError(
                    f"no layer reads the input {tensor.name!r}; leave it out of the model."
                )
        for one in self._operations:
            if isinstance(one, Convolution):
                one.bias_integers()  # A bias that 32 bits do not hold is told here.
        images = [self._images[tensor.name] for tensor in self._model.inputs]
        logits = [ends[id(tensor)].tensor for tensor in self._model.outputs]
        return Network(
            self._model.name,
            images[0],
            tuple(self._operations),
            logits[0],
            self._edges,
            tuple(images[1:]),
            tuple(logits[1:]),
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

    def integers(self) -> dict[str, tuple[Tensor, Any]]:
        """Each tensor, and the model's symbolic integers of it, by the network's names."""
        held = [(known.tensor, t) for t, known in self._tensors if isinstance(known, Integers)]
        return {one.name: (one, t) for one, t in held}

    def _make(self, operation: Any, values: list[Any]) -> tuple[Any, ...]:
        """Returns what the outputs of one call are."""
        if isinstance(operation, _L.InputLayer):
            return (self._pixels(operation),)
        if isinstance(operation, QuantEdge):
            return self._edge(operation, values)
        if isinstance(operation, QuantDropout):
            return tuple(values)
        if not type(operation).__module__.startswith(("keras.", "tfquantseg.")):
            # Also a subclass of what has a form: what it computes is not known.
            raise no_form(operation, "is a layer of your own")
        if is_affine(operation):
            return (fold_functions.affine(operation, values[0]),)
        for types, handle in _HANDLERS:
            if isinstance(operation, types):
                return (handle(self, operation, values),)
        if type(operation).__module__.startswith("keras.src.ops."):
            on_tensors = _OPS.get(type(operation).__name__)
            if on_tensors is not None:
                return (on_tensors(self, operation, values),)
        if isinstance(operation, _FLOAT):
            raise ValueError(
                f"{operation.name!r} ({type(operation).__name__}) computes in float32, as the "
                "rules say, and an int8 file holds no such operation. Give it a policy such as "
                "INTEGER, and train it with that."
            )
        raise no_form(operation, f"has no 8-bit form{instead_of(type(operation))}")

    def _pixels(self, operation: Any) -> Pixels:
        shape = operation.batch_shape[1:]
        if len(shape) != 3 or shape[2] is None:
            raise ValueError(
                f"the model's input {operation.name!r} has the shape {shape}; files take images "
                "[H, W, C] of a known number of channels."
            )
        sides = tuple(built or asked for built, asked in zip(shape, self._size, strict=False))
        if sides != self._size and operation.name == self._model.inputs[0].name:
            raise ValueError(
                f"the model was built for images of {sides[0]} x {sides[1]}; received "
                f"{self._size[0]} x {self._size[1]}."
            )
        return Pixels(operation.name, (*sides, shape[2]))

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
                "holds no other; train with INTEGER, or a policy with k_A=8, A_grid='scaled' and "
                "A_at='every_tensor'."
            )
        if edge.fixed_step is not None:
            return float(np.float32(edge.fixed_step))
        scale = float(edge.running_scale.numpy())
        if not scale > 0:
            raise ValueError(
                f"{edge.name!r} has no scale: the model was not trained, or trained elsewhere, or "
                "all that this tensor ever held was 0. Train it, or give it the images of a few "
                "training steps; leave a layer that makes nothing but 0 out."
            )
        grid = policy.A(non_negative=edge.non_negative)
        assert grid is not None
        return float(grid.encode(tf.zeros([1]), scale=tf.constant(scale, tf.float32)).step)

    def _on_edge(self, edge: QuantEdge, value: Any, step: float) -> Tensor:
        if isinstance(value, Pixels):
            if edge.fixed_scale is None:
                raise ValueError(
                    f"{edge.name!r}: the image does not enter on a grid; begin the model with "
                    "Rescaling(1/128, offset=-1), which puts bytes on it exactly. A network that "
                    "scales bytes itself gets them again from Rescaling(128, offset=128) behind it."
                )
            name = value.name if len(self._model.inputs) > 1 else "image"
            image = self._images.get(value.name) or Tensor(self._named(name), value.shape, step)
            if image.step != step:
                raise ValueError(
                    f"the image {value.name!r} enters on two grids, of {image.step:g} and "
                    f"{step:g}; let one Rescaling layer put it on one."
                )
            self._images[value.name] = image
            return image
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

    def _kept(self, moved: Real | Integers) -> Integers:
        """Makes the operation of a layer that keeps the step."""
        if isinstance(moved, Integers):
            return moved
        read = moved.inputs[0]
        return Integers(self._add(moved.on(self._named(moved.name), read.step, read.zero_point)))


def _folded(make: Callable[[Any, list[Any]], Any]) -> Callable[..., Any]:
    """A function of layer and inputs as a handler, which gets the freezer too."""
    return lambda freezer, operation, values: make(operation, values)


def _moved(make: Callable[[Any, list[Any]], Any]) -> Callable[..., Any]:
    """The same of a layer that acts on integers and keeps the step."""
    return lambda freezer, operation, values: freezer._kept(make(operation, values))


_FLOAT = (
    *(_L.Conv2D, _L.DepthwiseConv2D, _L.Conv2DTranspose, _L.Dense),
    *(_L.BatchNormalization, _L.PReLU),
)
"""Layers that `quantize` replaces unless a rule leaves them in float32."""

_HANDLERS: tuple[tuple[Any, Callable[..., Any]], ...] = (
    ((QuantConv2D, QuantDepthwiseConv2D, QuantConv2DTranspose), _folded(fold.convolved)),
    (BatchNorm, _folded(fold.normed)),
    (_L.ReLU, _folded(fold.activated)),
    (_L.Activation, _folded(fold_functions.activated)),
    (_L.Softmax, _folded(fold_functions.function)),
    ((QuantPReLU, _L.LeakyReLU), _folded(fold_functions.bent)),
    (_L.Multiply, _folded(fold_functions.multiplied)),
    (_L.Subtract, _folded(fold_functions.subtracted)),
    (Product, _folded(fold.product)),
    (_L.Add, _folded(fold.total)),
    (_L.GlobalAveragePooling2D, _folded(fold.mean)),
    ((_L.MaxPooling2D, _L.AveragePooling2D), _moved(moves.pooled)),
    ((_L.UpSampling2D, _L.Resizing), _moved(moves.resized)),
    (BroadcastLike, _moved(moves.repeated)),
    (_L.ZeroPadding2D, _moved(moves.padded)),
    (_L.Cropping2D, _moved(moves.cropped)),
    (_L.Concatenate, _moved(moves.joined)),
    ((_L.Reshape, _L.Flatten), _moved(moves.reshaped)),
    ((RoundOnStep, _L.Identity), _folded(moves.same)),
)

_OPS: dict[str, Callable[..., Any]] = {
    "Add": _folded(fold.total),
    "Concatenate": _moved(moves.joined),
    "ExpandDims": _moved(moves.reshaped),
    "Mean": _folded(fold.mean),
    "Multiply": _folded(fold_functions.multiplied),
    "Pad": _moved(moves.padded),
    "Relu": _folded(fold.activated),
    "Relu6": _folded(fold.activated),
    "Reshape": _moved(moves.reshaped),
    "Resize": _moved(moves.resized),
    "Softmax": _folded(fold_functions.function),
    "Subtract": _folded(fold_functions.subtracted),
}
"""Bare `keras.ops` that models call on tensors, by the name of their class."""
