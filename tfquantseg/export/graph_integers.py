"""What a model's graph holds where the network that was made of it holds integers."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfquantseg.export.freeze import Freezer
from tfquantseg.export.network import Network


def integers_of(model: keras.Model, network: Network) -> Callable[..., dict[str, Any]]:
    """Returns a function that gives what the model's graph holds where the network holds integers.

    Args:
        model: the model that was frozen.
        network: what `freeze` made of it.

    Returns:
        A function of an image, uint8 [H, W, 3], or of one for each of the model's inputs, to int8
        arrays [H, W, C] by tensor name; where the network gives classes, these too, int32 [H, W],
        as the model's real logits have them.

    Raises:
        ValueError: the model is not the one that was frozen.
    """
    freezer = Freezer(model, network.image.shape[:2])
    _check_same(network, freezer.network())
    held = freezer.integers()
    symbolic = {name: values for name, (_, values) in held.items()}
    graph = keras.Model(model.inputs, [symbolic, model.outputs])

    def integers(*images: np.ndarray) -> dict[str, Any]:
        batches = [image[np.newaxis].astype(np.float32) for image in images]
        made, logits = graph(batches, training=False)
        found = {
            name: (made[name].numpy().reshape(tensor.shape) + tensor.zero_point).astype(np.int8)
            for name, (tensor, _) in held.items()
        }
        if network.gives_classes:
            found[network.output.name] = tf.argmax(logits[0][0], -1, tf.int32).numpy()
        return found

    return integers


def _check_same(network: Network, model: Network) -> None:
    """Raises an error where a network, up to its classes, has other tensors than a model's."""
    made = {one.output.name: one.output.shape for one in model.operations}
    for one in network.operations:
        name, shape = one.output.name, one.output.shape
        if made.get(name) != shape and one.output is not network.output:
            raise ValueError(
                f"the network holds {name!r} of {shape}, and model {model.name!r} "
                f"{made.get(name, 'no tensor of this name')}; give the model that was frozen."
            )
