"""A network built again in tf_keras, of the description that tfquantseg wrote of it.

`tfquantseg.benchmark.description` says what the two files hold.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras


def build(folder: str, batch: int, size: list[int] | None = None) -> Any:
    """Returns the network in tf_keras, with the same weights.

    Args:
        folder: holds network.json and weights.npz.
        batch: images a step, fixed: the converter needs static shapes.
        size: height and width of an image; None for those of the description.
    """
    description = json.loads((Path(folder) / "network.json").read_text())
    shape = (*size, 3) if size else description["input_shape"]
    image = tf_keras.Input(shape, batch_size=batch, name="image")
    tensors = {description["input"]: image}
    for layer in description["layers"]:
        inputs = [tensors[name] for name in layer["inputs"]]
        tensors[layer["name"]] = _call(layer, inputs)
    model = tf_keras.Model(image, tensors[description["output"]], name=description["name"])
    with np.load(Path(folder) / "weights.npz") as weights:
        for layer in model.layers:
            count = len(layer.weights)
            layer.set_weights([weights[f"{layer.name}/{index}"] for index in range(count)])
    return model


def _call(layer: dict[str, Any], inputs: list[Any]) -> Any:
    name = layer["name"]
    if layer["class"] == "BroadcastLike":  # An enlargement from 1 x 1 gives the same.
        size = tuple(inputs[1].shape[1:3])
        enlarge = tf_keras.layers.UpSampling2D(size, interpolation="bilinear", name=name)
        return enlarge(inputs[0])
    make = getattr(tf_keras.layers, layer["class"])
    return make(name=name, **layer["arguments"])(inputs if len(inputs) > 1 else inputs[0])
