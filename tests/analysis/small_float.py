"""A small float network, and a batch that it does not fit."""

import keras
import numpy as np

CLASSES = 3
IGNORE = 255


def model() -> keras.Model:
    """Three convolutions: one with batch norm, one whose input is a sum, one that makes logits."""
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 128, offset=-1, name="grid")(image)
    x = keras.layers.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(x)
    x = keras.layers.BatchNormalization(name="stem_bn")(x)
    x = keras.layers.ReLU(name="stem_relu")(x)
    y = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="middle")(x)
    x = keras.layers.Add(name="join")([x, y])
    logits = keras.layers.Conv2D(CLASSES, 1, name="logits")(x)
    return keras.Model(image, logits, name="small_float")


def batches(count: int = 2) -> list[tuple[np.ndarray, np.ndarray]]:
    """Noise, two images a batch."""
    random = np.random.default_rng(0)
    return [
        (
            random.integers(0, 256, (2, 16, 16, 3)).astype(np.float32),
            random.integers(0, CLASSES, (2, 16, 16)).astype(np.int32),
        )
        for _ in range(count)
    ]
