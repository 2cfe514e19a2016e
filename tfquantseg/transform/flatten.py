"""Flatten: inline nested, Sequential and subclassed parts into one flat functional graph."""

import collections
from collections.abc import Callable
from typing import Any

import keras
from keras import tree

_MOST_ROUNDS = 16


def flatten(model: keras.Model) -> keras.Model:
    """Returns a functional model of the same weights and function, without nesting.

    Sequential and functional parts are inlined, and subclassed composite layers and models whose
    ``call`` can be traced with symbolic tensors. A separable convolution becomes a depthwise and
    a pointwise one, with copies of its weights; all other layers are shared with ``model``.

    Args:
        model: a built Keras model.

    Returns:
        A functional model whose operations are layers and ops of Keras itself, or registered.

    Raises:
        ValueError: the model has not been built, or a subclassed part can't be traced.
    """
    graph = _functional(model)
    if graph is None:
        raise ValueError(
            f"{model.name!r} is a {type(model).__name__} without a functional graph; build it "
            "with keras.Model(inputs, outputs), or call keras.Model(x, model.call(x)) yourself."
        )
    splits: dict[int, tuple[keras.layers.Layer, keras.layers.Layer]] = {}
    for _ in range(_MOST_ROUNDS):
        inputs = tree.map_structure(
            lambda t: keras.Input(batch_shape=t.shape, dtype=t.dtype, name=t.name),
            graph._inputs_struct,
        )
        flat = keras.Model(inputs, _run(graph, inputs, splits), name=model.name)
        if all(_is_leaf(operation) for operation in flat.operations):
            return flat
        graph = flat
    raise ValueError(f"{model.name!r} nests more than {_MOST_ROUNDS} subclassed layers.")


def _functional(model: keras.Model) -> Any:
    if isinstance(model, keras.Sequential):
        return model._functional
    return model if hasattr(model, "_nodes_by_depth") and hasattr(model, "_inputs_struct") else None


def _is_leaf(operation: Any) -> bool:
    """Whether an operation is computed as one: Keras's own, and any whose call can't be split."""
    if isinstance(operation, keras.Model):
        return False
    if type(operation).__module__.startswith("keras.src."):
        return True
    return not isinstance(operation, keras.layers.Layer) or not _sublayers(operation)


def _sublayers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    return [inner for inner in layer._flatten_layers(include_self=False)]


def _run(graph: Any, inputs: Any, splits: dict[int, Any]) -> Any:
    """Calls every operation of a graph on symbolic inputs, inlining what is composite."""
    values = dict(
        zip((id(t) for t in tree.flatten(graph._inputs_struct)), tree.flatten(inputs), strict=True)
    )
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if node.is_input:
                continue
            args, kwargs = node.arguments.fill_in(values)
            outputs = tree.flatten(_call(node.operation, args, kwargs, splits))
            for output, placeholder in zip(outputs, node.outputs, strict=True):
                values[id(placeholder)] = output
    return tree.map_structure(lambda t: values[id(t)], graph._outputs_struct)


def _call(
    operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], splits: dict[int, Any]
) -> Any:
    kwargs = {name: value for name, value in kwargs.items() if name not in ("training", "mask")}
    inner = _functional(operation) if isinstance(operation, keras.Model) else None
    if inner is not None:
        return _run(inner, args[0] if args else kwargs["inputs"], splits)
    if isinstance(operation, keras.layers.SeparableConv2D):
        if id(operation) not in splits:
            splits[id(operation)] = _split(operation)
        depthwise, pointwise = splits[id(operation)]
        return pointwise(depthwise(*args, **kwargs))
    if _is_leaf(operation):
        return operation(*args, **kwargs)
    call: Callable[..., Any] = operation.call
    try:
        return call(*args, **kwargs)
    except Exception as error:
        raise ValueError(
            f"layer {operation.name!r} ({type(operation).__name__}) contains layers but its call "
            f"can't be traced with symbolic tensors: {error}. Build it with the functional API, "
            "or register it with tfquantseg.transform.register."
        ) from error


def _split(
    layer: keras.layers.SeparableConv2D,
) -> tuple[keras.layers.DepthwiseConv2D, keras.layers.Conv2D]:
    """Returns a separable convolution's depthwise and pointwise part, with its weights."""
    depthwise = keras.layers.DepthwiseConv2D(
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        depth_multiplier=layer.depth_multiplier,
        data_format=layer.data_format,
        dilation_rate=layer.dilation_rate,
        use_bias=False,
        name=f"{layer.name}_depthwise",
    )
    pointwise = keras.layers.Conv2D(
        layer.filters,
        1,
        data_format=layer.data_format,
        activation=layer.activation,
        use_bias=layer.use_bias,
        name=f"{layer.name}_pointwise",
    )
    channels, multiplier = layer.depthwise_kernel.shape[2:]
    depthwise.build((None, None, None, channels))
    pointwise.build((None, None, None, channels * multiplier))
    depthwise.set_weights([layer.depthwise_kernel.numpy()])
    pointwise.set_weights(
        [layer.pointwise_kernel.numpy(), *([layer.bias.numpy()] if layer.use_bias else [])]
    )
    return depthwise, pointwise


def count_convolutions(model: keras.Model) -> int:
    """Returns the number of convolution layers in a model, a separable one counted twice."""
    names: collections.Counter[str] = collections.Counter()
    for operation in flatten(model).operations:
        names[type(operation).__name__] += 1
    return sum(names[name] for name in ("Conv2D", "DepthwiseConv2D", "Conv2DTranspose"))
