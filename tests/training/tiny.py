"""A config that trains in seconds, a data set of known scores, and a model with a random part."""

import keras
import numpy as np
from ml_collections import ConfigDict

from tfquantseg.data import Example, Pair, SegmentationData


def config(**changes: object) -> ConfigDict:
    """A tiny run on digits: 16 scenes, 8 steps an epoch, integers in two of the convolutions.

    Integers in all would triple the time to trace the step, and show the loop nothing else.

    Args:
        **changes: Values by top-level key.
    """
    made = ConfigDict(
        {
            "policy": "FLOAT",
            "rules": (("stem(_bn)?|logits", "INTEGER"),),
            "model": {"name": "residual_unet", "args": {"width": 2}},
            "data": {
                "name": "digits",
                "options": {"size": (64, 64), "scenes": 16},
                "train": "train",
                "val": "val[:0.25]",
                "size": (64, 64),
                "fit": "crop",
                "flip": True,
                "multiple": 8,
                "batch": 2,
            },
            "loss": "softmax_cross_entropy",
            "class_balance": 0.0,
            "optimizer": {
                "learning_rate": 2.0**-5,
                "momentum": 0.875,
                "decay": 2.0**-10,
                "boundaries": (30,),
                "warmup": (),
                "factors": (),
            },
            "steps": 40,
            "seed": 3,
            "evaluate_every": 20,
            "checkpoint_every": 5,
            "keep": 2,
        }
    )
    made.update(changes)
    return made


def data(labels: list[list[list[int]]], classes: int = 2) -> SegmentationData:
    """A split of grey images whose red value is `100 * label` plus 1 where the label is ignored."""

    def decode(label: list[list[int]]) -> Pair:
        array = np.array(label, np.uint8)
        image = np.zeros((*array.shape, 3), np.uint8)
        image[..., 0] = np.where(array == 255, 1, 100 * array)
        return Pair(image, array)

    return SegmentationData(
        name="made",
        split="val",
        classes=tuple(f"class{i}" for i in range(classes)),
        palette=((0, 0, 0),) * classes,
        examples=tuple(
            Example(f"{i}", f"made example {i}", lambda label=label: decode(label))
            for i, label in enumerate(labels)
        ),
    )


def dropout_model(width: int = 3) -> keras.Model:
    """One convolution and dropout; its random state is a variable that `.keras` leaves out."""
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.Conv2D(width, 3, padding="same", name="conv")(image)
    x = keras.layers.Dropout(0.5, name="drop")(x)
    return keras.Model(image, keras.layers.Conv2D(2, 1, name="logits")(x), name="dropout_model")
