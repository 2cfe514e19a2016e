"""Functional graphs of what is not functional: Keras calls it once on symbolic tensors.

What a layer's or model's `call` does with layers and `keras.ops` becomes a graph; what it does with
values (a condition on a tensor, NumPy, `tf.*`) can't, and is an error that says so.
"""

import inspect
import re
from typing import Any

import keras
from keras import tree

_KERAS = "keras.src."
_CURE = (
    "In call, let layers and keras.ops compute every tensor (no tf.*, no NumPy, no condition on "
    "values), build the part with keras.Model(inputs, outputs), or register the layer's class: "
    "tfquantseg.register(type, kind)."
)


def functional_graph(model: Any) -> Any:
    """Returns the graph that a model computes if it has one, else None.

    A model that was built as a graph, but overrides ``call``, computes what its ``call`` says.
    """
    if not _is_functional(model) or not type(model).call.__module__.startswith(_KERAS):
        return None
    return model._functional if isinstance(model, keras.Sequential) else model


def trace_model(model: keras.Model) -> Any:
    """Returns the graph of a model whose ``call`` is a program: a subclass of `keras.Model`.

    Args:
        model: a model that has been called or built, so that the shapes of its inputs are known.

    Returns:
        A functional model of the same layers; its inputs have any batch.

    Raises:
        ValueError: it was never called, or its ``call`` can't be traced.
    """
    if _is_functional(model):
        graph = model._functional if isinstance(model, keras.Sequential) else model
        inputs = tree.map_structure(_input_like, graph._inputs_struct)
    else:
        inputs = _inputs_as_built(model)
    try:
        outputs = model.call(inputs)
        in_training = _in_training(model, (inputs,), {})
    except Exception as error:
        raise ValueError(
            f"model {model.name!r} ({type(model).__name__}) has no functional graph, and its call "
            f"can't be traced with one structure of symbolic tensors: {_reason(error)}. {_CURE}"
        ) from error
    for output in tree.flatten(outputs):
        if not isinstance(output, keras.KerasTensor):
            raise ValueError(
                f"model {model.name!r} ({type(model).__name__}) returns {output!r} beside tensors; "
                "return tensors alone."
            )
    _check_alike(model, tree.flatten(inputs), outputs, in_training)
    return keras.Model(inputs, outputs, name=model.name)


def trace_layer(
    layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[list[Any], keras.Function]:
    """Returns the symbolic tensors that a composite layer is called with, and its graph.

    Raises:
        ValueError: its ``call`` can't be traced.
    """
    inputs = [t for t in tree.flatten((args, kwargs)) if isinstance(t, keras.KerasTensor)]
    fresh = {id(t): keras.Input(batch_shape=t.shape, dtype=t.dtype) for t in inputs}
    args, kwargs = tree.map_structure(lambda t: fresh.get(id(t), t), (args, kwargs))
    try:
        outputs = layer.call(*args, **kwargs)
        in_training = _in_training(layer, args, kwargs)
    except Exception as error:
        raise ValueError(
            f"layer {layer.name!r} ({type(layer).__name__}) has a call that can't be traced with "
            f"symbolic tensors: {_reason(error)}. {_CURE}"
        ) from error
    distinct = list({id(t): t for t in inputs}.values())
    _check_alike(layer, [fresh[id(t)] for t in distinct], outputs, in_training)
    return distinct, keras.Function([fresh[id(t)] for t in distinct], outputs)


def takes_training(layer: Any) -> bool:
    """Whether a layer's ``call`` is told if it trains."""
    return "training" in inspect.signature(layer.call).parameters


def _reason(error: Exception) -> str:
    """The first sentence of what happened, of Keras's longer accounts."""
    parts = [part.strip() for part in re.sub("\x1b\\[[0-9]*m", "", str(error)).split("\n\n")]
    about_layer = parts[0].startswith("Exception encountered when calling") and len(parts) > 1
    return parts[about_layer].partition(". ")[0].rstrip(".")


def _in_training(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a call makes while training, None where it is not told."""
    return layer.call(*args, **kwargs, training=True) if takes_training(layer) else None


def _check_alike(layer: Any, inputs: list[Any], outputs: Any, in_training: Any) -> None:
    """Raises an error where a call computes something else while it trains.

    The layers that it calls know themselves whether they train; a condition in the call does not
    become part of a graph.
    """
    if in_training is None:
        return
    made, trained = (_called(inputs, ends) for ends in (outputs, in_training))
    if made != trained:
        raise ValueError(
            f"{layer.name!r} ({type(layer).__name__}) calls other layers or ops where training is "
            "True, and a graph has no such condition. Leave what differs to a layer of its own, "
            "such as Dropout, or register the class: tfquantseg.register(type, kind)."
        )


def _called(inputs: list[Any], outputs: Any) -> list[Any]:
    """What a graph calls, in order: layers with weights, and of all else the type."""
    return [
        id(one) if getattr(one, "weights", ()) else type(one)
        for one in keras.Function(inputs, outputs).operations
    ]


def _is_functional(model: Any) -> bool:
    if isinstance(model, keras.Sequential):
        return model._functional is not None
    return hasattr(model, "_nodes_by_depth") and hasattr(model, "_inputs_struct")


def _input_like(tensor: Any) -> Any:
    return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)


def _inputs_as_built(model: keras.Model) -> Any:
    shapes = (model.get_build_config() or {}).get("input_shape")
    if model.built and shapes is None:
        raise ValueError(
            f"model {model.name!r} ({type(model).__name__}) has no functional graph, and its call "
            f"can't be traced: Keras kept no shapes of its inputs when it was called. {_CURE}"
        )
    if shapes is None:
        raise ValueError(
            f"model {model.name!r} ({type(model).__name__}) has no functional graph, and was never "
            "called: the shapes of its inputs are not known. Call it on a batch of images first, "
            "or build it with keras.Model(inputs, outputs)."
        )
    return _map_shapes(shapes)


def _map_shapes(shapes: Any, name: str | None = None) -> Any:
    """An input for each shape in a structure of shapes, which are tuples or lists of numbers."""
    if isinstance(shapes, dict):
        return {key: _map_shapes(value, key) for key, value in shapes.items()}
    if all(side is None or isinstance(side, int) for side in shapes):
        return keras.Input(tuple(shapes)[1:], name=name)
    return [_map_shapes(one) for one in shapes]
