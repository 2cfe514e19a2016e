"""A float network described in JSON, so that another Keras can build it again.

`network.json` lists the layers in the order of their calls: name, class, the arguments that say
what it computes, and whose outputs it takes. `weights.npz` holds their weights, NAME/INDEX in the
order of `get_weights`. The network begins behind its rescaling: tfmot knows no such layer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfquantseg.models.framing import Size

_WINDOW = ("strides", "padding")
_CONVOLUTION = ("filters", "kernel_size", *_WINDOW, "dilation_rate", "use_bias", "activation")
_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "Activation": ("activation",),
    "Add": (),
    "AveragePooling2D": ("pool_size", *_WINDOW),
    "BatchNormalization": ("momentum", "epsilon"),
    "BroadcastLike": (),
    "Concatenate": ("axis",),
    "Conv2D": _CONVOLUTION,
    "Conv2DTranspose": _CONVOLUTION,
    "Cropping2D": ("cropping",),
    "DepthwiseConv2D": (
        "kernel_size",
        "depth_multiplier",
        *_WINDOW,
        "dilation_rate",
        "use_bias",
        "activation",
    ),
    "Dropout": ("rate",),
    "GlobalAveragePooling2D": ("keepdims",),
    "MaxPooling2D": ("pool_size", *_WINDOW),
    "ReLU": ("max_value",),
    "UpSampling2D": ("size", "interpolation"),
    "ZeroPadding2D": ("padding",),
}


def without_rescaling(model: keras.Model) -> keras.Model:
    """Returns the network behind its first layer, which brings bytes u to (u - 128) / 128.

    Raises:
        ValueError: the model does not begin with a rescaling.
    """
    rescaling = model.layers[1]
    if not isinstance(rescaling, keras.layers.Rescaling):
        raise ValueError(
            f"{model.name!r} begins with {type(rescaling).__name__}; accepted is a Rescaling."
        )
    return keras.Model(rescaling.output, model.output, name=model.name)


def rescaled(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Returns what the network behind the rescaling takes of images with values 0..255, float32.

    Args:
        model: begins with a rescaling.
        images: of any shape.
    """
    rescaling = model.layers[1]
    scaled: np.ndarray = images.astype(np.float32) * rescaling.scale + rescaling.offset
    return scaled.astype(np.float32)


def describe(model: keras.Model, size: Size | None = None) -> dict[str, Any]:
    """Returns what `network.json` holds of a model that begins behind its rescaling.

    Args:
        model: the model.
        size: height and width of its images; None for the model's own.

    Raises:
        ValueError: a layer that has no place in the description.
    """
    listed = []
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if not node.is_input:
                listed.append(_described(node))
    return {
        "name": model.name,
        "input": model.inputs[0]._keras_history.operation.name,
        "input_shape": (*size, 3) if size else model.input_shape[1:],
        "layers": listed,
        "output": model.output._keras_history.operation.name,
    }


def _described(node: Any) -> dict[str, Any]:
    """Returns the entry of one layer's call."""
    layer = node.operation
    kind = type(layer).__name__
    if kind not in _ARGUMENTS:
        raise ValueError(
            f"{layer.name!r} is a {kind}; described are {', '.join(_ARGUMENTS)}. Give it a row in "
            "tfquantseg/benchmark/description.py."
        )
    config = layer.get_config()
    return {
        "name": layer.name,
        "class": kind,
        "arguments": {name: config[name] for name in _ARGUMENTS[kind]},
        "inputs": [tensor._keras_history.operation.name for tensor in node.input_tensors],
    }


def write(model: keras.Model, folder: Path, size: Size | None = None) -> None:
    """Writes `network.json` and `weights.npz` of a model that begins behind its rescaling.

    Args:
        model: the model.
        folder: to write to.
        size: height and width of its images; None for the model's own.

    Raises:
        ValueError: a layer that has no place in the description.
    """
    (folder / "network.json").write_text(json.dumps(describe(model, size)))
    weights: dict[str, Any] = {
        f"{layer.name}/{index}": weight
        for layer in model.layers
        for index, weight in enumerate(layer.get_weights())
    }
    np.savez(folder / "weights.npz", **weights)
