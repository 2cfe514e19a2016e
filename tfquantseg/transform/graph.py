"""The flat graph as the plan reads it: calls of known kinds, and the tensors between them."""

import collections
import dataclasses
from typing import Any, Literal

import keras
from keras import tree

from tfquantseg.layers import Affine, is_affine
from tfquantseg.models.broadcast import BroadcastLike
from tfquantseg.names import did_you_mean
from tfquantseg.transform.activations import FUSED, LOOKED_UP, function_name
from tfquantseg.transform.constants import constants_problem
from tfquantseg.transform.replacements import instead_of, instead_of_activation

Kind = Literal[
    "input",
    "convolution",
    "batch_norm",
    "activation",
    "add",
    "affine",
    "concatenate",
    "select",
    "average",
    "float",
]
"""What the plan does with a call.

* ``input``: an input of the model.
* ``convolution``: a node; its input is a pair, its three products multiply integers.
* ``batch_norm``, ``activation``: fused into what precedes them where nothing else reads it.
* ``add``: computed on products; its sum gets an edge.
* ``affine``: constants times it, and plus them; fused into the convolution or batch norm in front
  of it where nothing else reads that, else a tensor of its own.
* ``concatenate``: its members share one step.
* ``select``: moves or chooses values; acts on the integers and keeps the step.
* ``average``: an average on the input's step, rounded.
* ``float``: computed in float32 on products; its result gets an edge.
"""

_L = keras.layers
_KINDS: dict[type, Kind] = {
    _L.InputLayer: "input",
    _L.Conv2D: "convolution",
    _L.DepthwiseConv2D: "convolution",
    _L.Conv2DTranspose: "convolution",
    _L.Dense: "convolution",
    _L.BatchNormalization: "batch_norm",
    _L.ReLU: "activation",
    _L.Activation: "activation",
    _L.Add: "add",
    _L.Concatenate: "concatenate",
    _L.MaxPooling2D: "select",
    _L.ZeroPadding2D: "select",
    _L.Cropping2D: "select",
    _L.Dropout: "select",
    _L.SpatialDropout2D: "select",
    _L.Identity: "select",
    _L.Reshape: "select",
    _L.Flatten: "select",
    _L.AveragePooling2D: "average",
    BroadcastLike: "select",
    _L.UpSampling2D: "average",
    _L.Resizing: "average",
    _L.GlobalAveragePooling2D: "float",
    _L.Softmax: "float",
    _L.Multiply: "float",
    _L.Subtract: "float",
    _L.LeakyReLU: "float",
    _L.PReLU: "float",
    Affine: "affine",
    _L.Rescaling: "affine",
    _L.Normalization: "affine",
}
_registered: dict[type, Kind] = {}


def register(operation: type, kind: Kind) -> None:
    """Tells `quantize` what to do with a layer type, or with the class of a `keras.ops` operation.

    The layer is called as it is: "select" and "average" on the integers of one tensor, whose step
    stays; "float" on real values, its result then quantized on a step of its own. Register what
    Keras can't trace, or what is to stay one layer; a layer made of known layers and `keras.ops`
    needs no registration. A file has no operation for a registered type: before conversion build
    the model with known layers in its place that compute the same.

    Example:
        >>> class PixelShuffle(keras.layers.Layer):
        ...     def call(self, x):
        ...         return tf.nn.depth_to_space(x, 2)
        >>> tfquantseg.register(PixelShuffle, "select")
        >>> model = tfquantseg.quantize(float_model, tfquantseg.preset("INTEGER"))

    Args:
        operation: the class; its subclasses are not included.
        kind: "select" if it only moves or chooses values, "average" if it averages them,
            "float" to compute it in float32 between two edges.

    Raises:
        ValueError: another kind; what is no class of layers or ops, or has a plan already.
    """
    if not (isinstance(operation, type) and issubclass(operation, keras.Operation)):
        raise ValueError(
            "register takes a class of layers, or of keras.ops operations, received "
            f"{operation!r}; give the class itself, such as type(layer)."
        )
    if operation in _KINDS or operation is keras.Model:
        raise ValueError(
            f"{operation.__name__} has a plan already. To leave single layers in float32 give a "
            "rule of their names the policy FLOAT; to do otherwise, register a subclass."
        )
    if kind not in ("select", "average", "float"):
        raise ValueError(f"kind must be select, average or float, received {kind!r}.")
    _registered[operation] = kind


def is_registered(operation: type) -> bool:
    """Whether `register` was told about a type, so that it is called as one."""
    return operation in _registered


def is_known(operation: Any) -> bool:
    """Whether an operation, a Keras layer or op, is of a type that the plan knows."""
    known = type(operation) in _KINDS or is_affine(operation)
    return known or _kind_of_op(operation) is not None


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """One call of an operation in the flat graph.

    Attributes:
        operation: the Keras layer or op.
        label: the operation's name, with a number where it has been called before.
        kind: what the plan does with it.
        inputs: the tensors it reads.
        output: the tensor it makes.
        arguments: the call's arguments, with the tensors in them.
        activation: "linear", "relu" or "relu6", of a layer's ``activation=`` or of the layer.
    """

    operation: Any
    label: str
    kind: Kind
    inputs: tuple[Any, ...]
    output: Any
    arguments: Any
    activation: Any = "linear"

    @property
    def name(self) -> str:
        """The operation's name, which policies match."""
        return self.operation.name

    def apply(self, values: dict[int, Any], operation: Any = None) -> Any:
        """Calls an operation (this one by default) on the values of this call's inputs."""
        args, kwargs = self.arguments.fill_in(values)
        kwargs = {k: v for k, v in kwargs.items() if k not in ("training", "mask")}
        return (operation or self.operation)(*args, **kwargs)


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
    """A flat model as calls in topological order.

    Attributes:
        calls: every call, inputs first.
        inputs: the structure of the model's input tensors.
        outputs: the structure of its output tensors.
    """

    calls: tuple[Call, ...]
    inputs: Any
    outputs: Any

    def __post_init__(self) -> None:
        """Indexes who makes and who reads each tensor, and all calls of each operation."""
        made = {id(call.output): call for call in self.calls}
        called: dict[int, list[Call]] = {}
        for call in self.calls:
            called.setdefault(id(call.operation), []).append(call)
        object.__setattr__(self, "_called", called)
        read: dict[int, list[Call]] = {}
        for call in self.calls:
            for tensor in call.inputs:
                read.setdefault(id(tensor), []).append(call)
        object.__setattr__(self, "_made", made)
        object.__setattr__(self, "_read", read)
        object.__setattr__(self, "_ends", {id(t) for t in tree.flatten(self.outputs)})

    def producer(self, tensor: Any) -> Call:
        """Returns the call that makes a tensor."""
        return self._made[id(tensor)]  # type: ignore[attr-defined]

    def consumers(self, tensor: Any) -> list[Call]:
        """Returns the calls that read a tensor."""
        return self._read.get(id(tensor), [])  # type: ignore[attr-defined]

    def calls_of(self, operation: Any) -> list[Call]:
        """Returns all calls of an operation: several where a layer is shared."""
        return self._called[id(operation)]  # type: ignore[attr-defined]

    def is_output(self, tensor: Any) -> bool:
        """Whether the model returns a tensor."""
        return id(tensor) in self._ends  # type: ignore[attr-defined]

    def only_consumer(self, tensor: Any) -> Call | None:
        """Returns the one call that reads a tensor, None if there are more or it is an output."""
        readers = self.consumers(tensor)
        return readers[0] if len(readers) == 1 and not self.is_output(tensor) else None


def read_graph(model: keras.Model) -> Graph:
    """Returns the calls of a flat model.

    Args:
        model: what `flatten` returned.

    Returns:
        The graph, every call of a known kind.

    Raises:
        ValueError: an operation that is not known, or has several outputs; it says how to
            register it.
    """
    calls: list[Call] = []
    times: collections.Counter[int] = collections.Counter()
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if len(node.outputs) != 1:
                raise ValueError(
                    f"{node.operation.name!r} ({type(node.operation).__name__}) has "
                    f"{len(node.outputs)} outputs; operations with several outputs can't be "
                    "quantized. Make each output by a layer of its own"
                    f"{instead_of(type(node.operation))}."
                )
            kind = _kind(node.operation, node.arguments)
            times[id(node.operation)] += 1
            time = times[id(node.operation)]
            calls.append(
                Call(
                    operation=node.operation,
                    label=node.operation.name + (f"_call{time}" if time > 1 else ""),
                    kind=kind,
                    inputs=tuple(node.input_tensors),
                    output=node.outputs[0],
                    arguments=node.arguments,
                    activation=_activation(node.operation, kind),
                )
            )
    return Graph(tuple(calls), model._inputs_struct, model._outputs_struct)


def _kind(operation: Any, arguments: Any) -> Kind:
    operation_type = type(operation)
    if operation_type in _registered:
        registered = _registered[operation_type]
        tensors = {id(tensor) for tensor in arguments.keras_tensors}
        if registered != "float" and len(tensors) > 1:
            raise ValueError(
                f"{operation.name!r} ({operation_type.__name__}) is registered as {registered!r}, "
                f"which acts on the integers of one tensor, and is called on {len(tensors)}, whose "
                "steps differ; register it as 'float'."
            )
        return registered
    kind = _KINDS.get(operation_type) or _kind_of_op(operation)
    if is_affine(operation):
        kind = "affine"
    if kind is None:
        names = [known.__name__ for known in _KINDS]
        is_own = not operation_type.__module__.startswith("keras.")
        own = "; let its call use nothing but layers and keras.ops that have a plan" * is_own
        raise ValueError(
            f"{operation.name!r}: no plan for operations of type "
            f"{operation_type.__module__}.{operation_type.__name__}"
            f"{did_you_mean(operation_type.__name__, names)}. Known are "
            f"{', '.join(sorted(names))}{instead_of(operation_type)}{own}; or register another "
            "with tfquantseg.register(type, kind)."
        )
    if kind == "average" and getattr(operation, "interpolation", None) == "nearest":
        kind = "select"
    return _check(operation, kind, arguments)


def _kind_of_op(operation: Any) -> Kind | None:
    """The kinds of bare `keras.ops` that models call on tensors."""
    operation_type = type(operation)
    if not operation_type.__module__.startswith("keras.src.ops."):
        return None
    kinds: dict[str, Kind] = {
        "Add": "add",
        "Concatenate": "concatenate",
        "Relu": "activation",
        "Relu6": "activation",
        "Pad": "select",
        "Reshape": "select",
        "Cast": "float",
        "Mean": "float",
        "Softmax": "float",
        "Multiply": "float",
        "Subtract": "float",
        "ExpandDims": "select",
        "Resize": "average",
    }
    return kinds.get(operation_type.__name__)


def _check(operation: Any, kind: Kind, arguments: Any) -> Kind:
    """Refuses settings whose integer computation would differ from the float layer's."""
    problem = None
    if isinstance(operation, _L.ReLU) and (
        operation.max_value not in (None, 6, 6.0) or operation.negative_slope or operation.threshold
    ):
        problem = "only ReLU(), ReLU(6) and ReLU(negative_slope=a) are planned"
    elif kind == "activation" and _activation(operation, kind) in LOOKED_UP:
        return "float"
    elif kind == "activation" and _activation(operation, kind) == "hard_sigmoid":
        return "affine"
    elif isinstance(operation, _L.PReLU) and max(operation.alpha.shape[:-1], default=1) > 1:
        problem = "its slopes differ from position to position; use PReLU(shared_axes=[1, 2])"
    elif kind == "convolution":
        if getattr(operation, "data_format", "channels_last") != "channels_last":
            problem = f"data_format is {operation.data_format!r}; use 'channels_last'"
        elif getattr(operation, "output_padding", None) is not None:
            problem = "output_padding is set; use padding='same' or 'valid' without it"
        elif len(arguments.keras_tensors[0].shape) > 4:  # only a Dense takes such
            problem = (
                f"it reads a tensor of shape {arguments.keras_tensors[0].shape}; planned are "
                "[N, C], [N, L, C] and [N, H, W, C], which a Reshape in front makes of it"
            )
    elif kind == "affine":
        problem = constants_problem(operation)
    elif getattr(operation, "interpolation", "nearest") not in ("nearest", "bilinear"):
        problem = f"interpolation is {operation.interpolation!r}; use 'nearest' or 'bilinear'"
    elif getattr(operation, "fill_value", 0) or _pads_with_value(operation, arguments):
        problem = "it pads with a value that is not 0"
    elif type(operation).__name__ == "Cast" and operation.dtype != "float32":
        problem = f"it casts to {operation.dtype}; use 'float32'"
    elif kind == "batch_norm" and operation.axis not in (-1, 3):
        problem = f"axis is {operation.axis}; batch norm is planned over the last axis"
    for role in ("regularizer", "constraint"):
        for weight in ("kernel", "depthwise", "bias", "gamma", "beta", "alpha"):
            if getattr(operation, f"{weight}_{role}", None) is not None:
                problem = (
                    f"{weight}_{role} is set and would be lost; remove it (weight decay is "
                    "IntegerSGD's decay=)"
                )
    if problem:
        raise ValueError(f"{operation.name!r} ({type(operation).__name__}): {problem}.")
    return kind


def _pads_with_value(operation: Any, arguments: Any) -> bool:
    """Whether `keras.ops.pad` is called with a constant that is not 0."""
    if type(operation).__name__ != "Pad":
        return False
    values = (*arguments.args[1:], *arguments.kwargs.values())
    return any(value is not None and value != 0 for value in values)


def _activation(operation: Any, kind: Kind) -> str:
    """Returns the activation of a layer, or of its ``activation=``."""
    if isinstance(operation, _L.ReLU):
        return "relu" if operation.max_value is None else "relu6"
    if type(operation).__name__ in ("Relu", "Relu6"):
        return type(operation).__name__.lower()
    if kind == "affine" and isinstance(operation, _L.Activation):
        return "relu"  # hard_sigmoid: the convolution's or its own; a fixed step clips it at 1
    if kind not in ("activation", "convolution"):
        return "linear"
    name = function_name(operation.activation)
    accepted = FUSED + ((*LOOKED_UP, "hard_sigmoid") if kind == "activation" else ())
    if name not in accepted:
        known = (*FUSED, *LOOKED_UP, "hard_sigmoid", "hard_silu", "silu", "leaky_relu")
        alike = name.rpartition(".")[2]
        other = f"; it is not Keras's {alike!r}, whose name would do" if alike in known else ""
        raise ValueError(
            f"{operation.name!r}: activation {name!r} is not planned{other}; use one of "
            f"{', '.join(known)}{instead_of_activation(name)}."
        )
    return name
