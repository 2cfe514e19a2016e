"""Flatten: inline nested, Sequential and subclassed parts into one flat functional graph."""

import copy
from collections.abc import Sequence
from typing import Any

import keras
from keras import tree

from tfquantseg.layers import Affine
from tfquantseg.transform.activations import (
    activation,
    affine,
    function_name,
    is_spelled_out,
    is_split,
    spelled_out,
)
from tfquantseg.transform.graph import is_known, is_registered
from tfquantseg.transform.slices import cropping
from tfquantseg.transform.tracing import functional_graph, takes_training, trace_layer, trace_model

_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.Dense,
)


def flatten(model: keras.Model) -> keras.Model:
    """Returns a functional model of the same weights and function, without nesting.

    Sequential and functional parts are inlined, and subclassed composite layers and models whose
    ``call`` can be traced with symbolic tensors, and Lambda layers whose function can. All layers
    are shared with ``model``, but for copies, with copied weights, of

    * a separable convolution, which becomes a depthwise and a pointwise one;
    * a sum of more than two, which becomes a chain of sums of two, as devices add them;
    * a convolution with as many groups as channels, which becomes a depthwise one;
    * a convolution with an activation other than ReLU, which becomes two layers;
    * an activation, a constant or a slice that is written otherwise than the plan knows it
      (`activations`, `slices`);
    * a layer in a part whose name something else has already: it is called after its part.

    Args:
        model: a Keras model that was built, or called; of a subclassed one the inputs have the
            sizes that it was called with.

    Returns:
        A functional model whose operations are layers and ops of Keras itself, or registered.

    Raises:
        ValueError: the model was never called, or it or a subclassed part can't be traced.
    """
    graph = functional_graph(model) or trace_model(model)
    inputs = tree.map_structure(
        lambda t: keras.Input(batch_shape=t.shape, dtype=t.dtype, name=t.name),
        graph._inputs_struct,
    )
    return keras.Model(inputs, _Inliner(graph).run(graph, inputs, ()), name=model.name)


def copy_weights(layer: keras.layers.Layer, twin: keras.layers.Layer) -> None:
    """Gives a built layer the weights of another of its type, and what is derived from them."""
    pairs = zip(layer._flatten_layers(), twin._flatten_layers(), strict=True)
    for one, other in pairs:
        weights: dict[str, Any] = {}
        one.save_own_variables(weights)
        if weights:
            other.load_own_variables(weights)


def _traced(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Returns what a composite layer is made of, None of an operation that is computed as one.

    Computed as one is what is Keras's own or registered, and a layer of ops alone that has weights,
    is told whether it trains, or calls an op without a plan.
    """
    if is_registered(type(operation)) or not isinstance(operation, keras.layers.Layer):
        return None
    if isinstance(operation, keras.Model | keras.layers.Lambda):
        return trace_layer(operation, args, kwargs)
    if type(operation).__module__.startswith("keras.src.") or is_known(operation):
        return None
    if list(operation._flatten_layers(include_self=False)):
        return trace_layer(operation, args, kwargs)
    if operation.weights or takes_training(operation):
        return None
    try:
        traced = trace_layer(operation, args, kwargs)
    except ValueError:
        return None
    parts = traced[1].operations
    return traced if all(is_known(one) or is_spelled_out(one) for one in parts) else None


class _Inliner:
    """Calls every operation of a graph on symbolic inputs, inlining what is composite."""

    def __init__(self, graph: Any) -> None:
        """Starts a flat graph in which the outermost graph's operations keep their names."""
        self._named = {operation.name: operation for operation in graph.operations}
        self._chains: dict[int, tuple[Any, list[Any]]] = {}

    def run(self, graph: Any, inputs: Any, owners: tuple[str, ...]) -> Any:
        """Returns the graph's outputs for these inputs; owners are the parts it lies in."""
        values = dict(
            zip(
                (id(t) for t in tree.flatten(graph._inputs_struct)),
                tree.flatten(inputs),
                strict=True,
            )
        )
        for depth in sorted(graph._nodes_by_depth, reverse=True):
            for node in graph._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                args, kwargs = node.arguments.fill_in(values)
                outputs = tree.flatten(self._call(node.operation, args, kwargs, owners))
                for output, placeholder in zip(outputs, node.outputs, strict=True):
                    values[id(placeholder)] = output
        return tree.map_structure(lambda t: values[id(t)], graph._outputs_struct)

    def _call(
        self,
        operation: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        owners: tuple[str, ...],
    ) -> Any:
        kwargs = {name: value for name, value in kwargs.items() if name not in ("training", "mask")}
        graph = None if is_registered(type(operation)) else functional_graph(operation)
        if graph is not None:
            inputs = args[0] if args else kwargs["inputs"]
            return self.run(graph, inputs, (*owners, operation.name))
        traced = _traced(operation, args, kwargs)
        if traced is not None:
            inputs, graph = traced
            return self.run(graph, inputs, (*owners, operation.name))
        if type(operation).__name__ == "Cast" and args[0].dtype == operation.dtype:
            return args[0]
        if type(operation) is keras.layers.Add and len(args[0]) > 2:
            return self._sum(operation, args[0], owners)
        if id(operation) not in self._chains:
            # The operation too: an id lasts as long as what it belongs to.
            self._chains[id(operation)] = operation, self._chain(operation, args, kwargs, owners)
        first, *others = self._chains[id(operation)][1]
        if isinstance(first, Affine | keras.layers.Cropping2D):  # of an op with other operands
            operands = tree.flatten((args, kwargs))
            args, kwargs = tuple(t for t in operands if isinstance(t, keras.KerasTensor)), {}
        output = first(*args, **kwargs)
        for other in others:
            output = other(output)
        return output

    def _sum(self, operation: Any, members: list[Any], owners: tuple[str, ...]) -> Any:
        """Calls a sum of many as sums of two."""
        _, sums = self._chains.setdefault(id(operation), (operation, []))
        while len(sums) < len(members) - 1:
            name, number = self._free_name(operation, owners), len(sums) + 1
            sums.append(keras.layers.Add(name=name if number == 1 else f"{name}_plus_{number}"))
        output = members[0]
        for one, member in zip(sums, members[1:], strict=False):
            output = one([output, member])
        return output

    def _chain(
        self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], owners: tuple[str, ...]
    ) -> list[Any]:
        """Returns the operations to call, one after the other, for one of a model's parts."""
        name = self._free_name(operation, owners)
        if type(operation) is keras.layers.Activation and isinstance(
            operation.activation, keras.layers.Layer
        ):
            operation = operation.activation
        if is_registered(type(operation)):
            return [operation if name == operation.name else _renamed(operation, name)]
        of_tensor = affine(operation, args, kwargs, name) or cropping(operation, args, name)
        if of_tensor is not None:
            return [of_tensor]
        function = spelled_out(operation, name)
        if function is not None:
            return function
        if isinstance(operation, keras.layers.SeparableConv2D):
            depthwise, pointwise = _split_separable(operation, name)
            if is_split(pointwise.activation):
                return [depthwise, *_split_activation(pointwise, pointwise.name)]
            return [depthwise, pointwise]
        if _is_depthwise(operation):
            operation = _as_depthwise(operation, name)
        if type(operation) in _CONVOLUTIONS and is_split(operation.activation):
            return _split_activation(operation, name)
        return [operation if name == operation.name else _renamed(operation, name)]

    def _free_name(self, operation: Any, owners: Sequence[str]) -> str:
        """Returns an operation's name, behind its owners' names and a number where it is taken."""
        name = operation.name
        if owners and not isinstance(operation, keras.layers.Layer):
            # Keras numbers ops through the whole process: only the type is the same tomorrow.
            *owners, owner = owners
            name = f"{owner}_{type(operation).__name__.lower()}"
        for owner in reversed(owners):
            if self._named.get(name, operation) is operation:
                break
            name = f"{owner}_{name}"
        free, number = name, 1
        while self._named.get(free, operation) is not operation:
            free, number = f"{name}_{number}", number + 1
        self._named[free] = operation
        return free


def _renamed(operation: Any, name: str) -> Any:
    """Returns a copy of an operation under another name, with its weights."""
    if isinstance(operation, keras.layers.Layer):
        twin = type(operation).from_config({**operation.get_config(), "name": name})
        twin.build_from_config(operation.get_build_config())
        copy_weights(operation, twin)
        return twin
    twin = copy.copy(operation)
    twin.name, twin._inbound_nodes, twin._outbound_nodes = name, [], []
    return twin


def _split_activation(layer: keras.layers.Layer, name: str) -> list[Any]:
    """Returns a convolution without its activation, and the activation."""
    linear = type(layer).from_config({**layer.get_config(), "name": name, "activation": "linear"})
    linear.build_from_config(layer.get_build_config())
    weights: dict[str, Any] = {}  # its own, without those of a layer as its activation
    layer.save_own_variables(weights)
    linear.load_own_variables(weights)
    if isinstance(layer.activation, keras.layers.Layer):
        own = f"{name}_{type(layer.activation).__name__.lower()}"
        return [linear, *(spelled_out(layer.activation, own) or [_renamed(layer.activation, own)])]
    function = function_name(layer.activation)
    return [linear, *activation(function, f"{name}_{function}")]


def _is_depthwise(operation: Any) -> bool:
    """Whether each group of a convolution is one channel, so that its kernel is [H, W, 1, out]."""
    return (
        type(operation) is keras.layers.Conv2D
        and operation.groups > 1
        and operation.kernel.shape[2] == 1
        and operation.strides[0] == operation.strides[1]
        and operation.data_format == "channels_last"
    )


def _as_depthwise(layer: keras.layers.Conv2D, name: str) -> keras.layers.DepthwiseConv2D:
    """Returns a convolution of groups of one channel as a depthwise one, with its weights."""
    kept = ("kernel_size", "strides", "padding", "dilation_rate", "activation", "use_bias")
    depthwise = keras.layers.DepthwiseConv2D(
        **{key: getattr(layer, key) for key in kept},
        depth_multiplier=layer.filters // layer.groups,
        depthwise_regularizer=layer.kernel_regularizer,  # for the plan to refuse
        depthwise_constraint=layer.kernel_constraint,
        bias_regularizer=layer.bias_regularizer,
        bias_constraint=layer.bias_constraint,
        trainable=layer.trainable,
        name=name,
    )
    depthwise.build((None, None, None, layer.groups))
    kernel, *bias = layer.get_weights()
    depthwise.set_weights([kernel.reshape(depthwise.kernel.shape), *bias])
    return depthwise


def _split_separable(layer: keras.layers.SeparableConv2D, name: str) -> list[keras.layers.Layer]:
    """Returns a separable convolution's depthwise and pointwise part, with its weights."""
    depthwise = keras.layers.DepthwiseConv2D(
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        depth_multiplier=layer.depth_multiplier,
        data_format=layer.data_format,
        dilation_rate=layer.dilation_rate,
        use_bias=False,
        depthwise_regularizer=layer.depthwise_regularizer,  # for the plan to refuse
        depthwise_constraint=layer.depthwise_constraint,
        trainable=layer.trainable,
        name=f"{name}_depthwise",
    )
    pointwise = keras.layers.Conv2D(
        layer.filters,
        1,
        data_format=layer.data_format,
        activation=layer.activation,
        use_bias=layer.use_bias,
        kernel_regularizer=layer.pointwise_regularizer,
        kernel_constraint=layer.pointwise_constraint,
        bias_regularizer=layer.bias_regularizer,
        bias_constraint=layer.bias_constraint,
        trainable=layer.trainable,
        name=f"{name}_pointwise",
    )
    channels, multiplier = layer.depthwise_kernel.shape[2:]
    depthwise.build((None, None, None, channels))
    pointwise.build((None, None, None, channels * multiplier))
    depthwise.set_weights([layer.depthwise_kernel.numpy()])
    pointwise.set_weights(
        [layer.pointwise_kernel.numpy(), *([layer.bias.numpy()] if layer.use_bias else [])]
    )
    return [depthwise, pointwise]


def count_convolutions(model: keras.Model) -> int:
    """Returns the number of convolution layers in a model; a separable one is two, a Dense one."""
    return sum(type(operation) in _CONVOLUTIONS for operation in flatten(model).operations)
