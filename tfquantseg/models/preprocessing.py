"""Folds the preprocessing that an encoder was trained with into its first convolution.

An encoder was trained on x = (p - mean) / deviation, where p is the pixel 0..255 in the encoder's
channel order. The models of this package receive v = (u - 128) / 128 in RGB instead, which an 8-bit
image meets without any loss. With p = 128 v + 128 in the encoder's channel order,

    K * x + b = K' * v + b',    K' = K 128 / deviation,    b' = b + sum K (128 - mean) / deviation,

the sum running over taps and input channels. The two sides are equal wherever the kernel sees the
image only. At a zero-padded border they are not: a padded tap was the mean colour for the encoder
and is the grey 128 now, and b' contains that tap's term sum_c K (128 - mean) / deviation, so
exactly the terms of the padded taps are added to each border pixel. With the weights `hed` on
CamVid's street scenes at 192 x 256 that changes the outermost ring of conv1_1 by 14 % (root mean
square, against the ring's own) and nothing else there; after conv5_3 it is 3 % everywhere.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from tfquantseg.names import unknown_name

_CENTRE = 128.0  # the byte that the models map to 0
_RANGE = 128.0  # bytes that they map to 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What an encoder's images went through: (pixel - mean) / deviation.

    Attributes:
        order: order of the encoder's input channels.
        mean: subtracted from the pixels 0..255, in that order.
        deviation: divides them after that, in that order.

    Raises:
        ValueError: an unknown order, not three means or deviations, a deviation that is not
            positive.
    """

    order: Literal["rgb", "bgr"]
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        """Checks the three fields, and keeps sequences as tuples."""
        if self.order not in ("rgb", "bgr"):
            raise ValueError(f"order must be 'rgb' or 'bgr', got {self.order!r}.")
        for name, values in (("mean", self.mean), ("deviation", self.deviation)):
            if not _are_three_numbers(values):
                raise ValueError(
                    f"{name} must have one value for each of 3 channels, got {values}."
                )
            object.__setattr__(self, name, tuple(map(float, values)))
        if min(self.deviation) <= 0:
            raise ValueError(f"deviation must be positive, got {self.deviation}.")

    def fold(self, kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Folds this preprocessing into the convolution that reads the image.

        Args:
            kernel: `[h, w, 3, filters]`, for x in `order`.
            bias: `[filters]`.

        Returns:
            Kernel and bias for v = (u - 128) / 128 in RGB, float32, of the same shapes.
        """
        deviation = np.asarray(self.deviation)[:, np.newaxis]
        offset = (_CENTRE - np.asarray(self.mean)[:, np.newaxis]) / deviation
        folded = kernel * (_RANGE / deviation)
        if self.order == "bgr":
            folded = folded[:, :, ::-1]
        return (
            np.ascontiguousarray(folded, np.float32),
            (bias + (kernel * offset).sum((0, 1, 2))).astype(np.float32),
        )


def _are_three_numbers(values: Any) -> bool:
    if not isinstance(values, list | tuple) or len(values) != 3:
        return False
    return all(isinstance(value, int | float) and math.isfinite(value) for value in values)


PREPROCESSINGS = {
    "caffe": Preprocessing(order="bgr", mean=(103.939, 116.779, 123.68)),
    "torch": Preprocessing(
        order="rgb", mean=(123.675, 116.28, 103.53), deviation=(58.395, 57.12, 57.375)
    ),
    "signed_127": Preprocessing(order="rgb", mean=(127.5,) * 3, deviation=(127.5,) * 3),
    "signed": Preprocessing(order="rgb", mean=(_CENTRE,) * 3, deviation=(_RANGE,) * 3),
}
"""The usual ones by name.

Those of `keras.applications`' VGG16 and ResNet50, of torchvision, of ResNet50V2, and our own.
"""


def find_preprocessing(given: str | Preprocessing | Mapping[str, Any]) -> Preprocessing:
    """Returns a preprocessing as it is, of its fields, or of its name in `PREPROCESSINGS`.

    Args:
        given: one of the three; a recipe gives the fields, as in ``{"order": "rgb", "mean":
            (187.4, 180.5, 167.7), "deviation": (63.75, 63.75, 63.75)}``.

    Raises:
        ValueError: The name or a field is not known, or a field is missing or not accepted.
    """
    if isinstance(given, Preprocessing):
        return given
    if isinstance(given, Mapping):
        fields = [field.name for field in dataclasses.fields(Preprocessing)]
        for name in given:
            if name not in fields:
                raise unknown_name("field of a preprocessing", name, fields)
        if "order" not in given or "mean" not in given:
            raise ValueError(f"A preprocessing needs the fields order and mean, received {given}.")
        return Preprocessing(**given)
    if given not in PREPROCESSINGS:
        raise ValueError(
            f"Unknown preprocessing {given!r}; accepted: {', '.join(PREPROCESSINGS)}, a "
            "Preprocessing, or its fields."
        )
    return PREPROCESSINGS[given]
