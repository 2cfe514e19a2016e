"""A feature of the whole image at every position: the image pooling of DeepLab and PSPNet."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("tfquantseg")
class BroadcastLike(keras.layers.Layer):
    """Repeats one value a channel over the positions of another tensor, whatever its size.

    An enlargement from 1 x 1 by any interpolation gives the same; this one needs no size when the
    model is built.

    Call arguments:
        inputs: a list of two, x `[N, 1, 1, C]` and like `[N, h, w, D]`.

    Returns:
        `[N, h, w, C]`, x at every position.
    """

    def call(self, inputs: list[Any]) -> Any:
        """Returns x, repeated over the positions of like."""
        x, like = inputs
        height, width = ops.shape(like)[1:3]
        return ops.broadcast_to(x, (ops.shape(x)[0], height, width, x.shape[-1]))

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> Any:
        """Returns [N, h, w, C].

        Raises:
            ValueError: x has more than one position.
        """
        x, like = input_shape
        if len(x) != 4 or x[1:3] != (1, 1):
            raise ValueError(f"{self.name}: x must be [N, 1, 1, C], received the shape {x}.")
        return (x[0], *like[1:3], x[3])
