"""The classes that a model sees in one image of any size."""

from __future__ import annotations

import collections
import math
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfquantseg.data.pipeline import MID_GREY, resize_image, resize_labels
from tfquantseg.data.segmentation import Bytes
from tfquantseg.layers.edge import Scales, set_evaluation_scales
from tfquantseg.training import model_files, sizes
from tfquantseg.training.loaded import is_quantized

_TRACED_AFTER = 10  # images of one size: to trace a graph takes longer than to predict these


class Predictor:
    """Predicts images one by one, each at its own size.

    An image is padded at the bottom and the right, with mid-grey, to the next multiple of the
    model's stride, or to the size that the model was built for; the prediction is cropped back.

    Args:
        model: Float or quantized; images [N, H, W, 3] to logits [N, H, W, C].
        multiple: Pad to a multiple of this too: the run's `config.data.multiple`, so that an image
            gets the padding that evaluation gives it.
        scales: Activation scales of a quantized model: the `"running"` estimates kept while
            training, or `"dynamic"`, each image's own.
        resize: Height and width to which each image is scaled first, as a run of `fit="resize"`
            did; the classes are scaled back to the image's own size, each pixel taking the nearest.

    Raises:
        ValueError: The model is no segmentation network, returns logits of another size than its
            images, or `scales` is another word.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        multiple: int = 1,
        scales: Scales = "running",
        resize: tuple[int, int] | None = None,
    ) -> None:
        """Looks up what sizes the model accepts."""
        model_files.check_segments(model)
        set_evaluation_scales(model, scales)
        stride = sizes.stride(model)
        if stride is None:
            raise ValueError(
                f"Model {model.name!r} returns logits of another size than its images; accepted "
                "are logits of the same height and width. Enlarge them in the model, with a "
                "Resizing or UpSampling2D layer at its end."
            )
        self._model = model
        self._scales: Scales | None = scales if is_quantized(model) else None
        self._graph = tf.function(model, jit_compile=False)
        self._seen: collections.Counter[tuple[int, int]] = collections.Counter()
        self._fixed = model.input_shape[1:3]
        self._multiple = math.lcm(stride, multiple)
        self._resize = resize

    @property
    def classes(self) -> int:
        """Number of classes, C."""
        return int(self._model.output_shape[3])

    @property
    def scales(self) -> Scales | None:
        """The activation scales that it uses; None where the model has none, in float32."""
        return self._scales

    def __call__(self, image: Bytes) -> Bytes:
        """Predicts one image.

        Args:
            image: uint8 [H, W, 3], RGB.

        Returns:
            The class of each pixel, uint8 [H, W].

        Raises:
            ValueError: The image is too large or too small for the model, or for the memory.
        """
        if self._resize is None:
            return self._predicted(image)
        label = self._predicted(resize_image(image, self._resize))
        return resize_labels(label, (image.shape[0], image.shape[1]))

    def _predicted(self, image: Bytes) -> Bytes:
        """Predicts an image at the size that it has."""
        height, width = image.shape[:2]
        bottom, right = self._padded(height, width)
        padded = np.full((1, bottom, right, 3), MID_GREY, np.float32)
        padded[0, :height, :width] = image
        self._seen[bottom, right] += 1
        often = self._seen[bottom, right] > _TRACED_AFTER
        run = self._graph if often else self._model
        try:
            logits = run(tf.constant(padded), training=False)
        except tf.errors.ResourceExhaustedError as error:
            raise ValueError(
                f"{_size((height, width))} pixels need more memory than there is; scale the image "
                "down, or cut it into parts."
            ) from error
        return tf.argmax(logits[0, :height, :width], axis=-1).numpy().astype(np.uint8)

    def _padded(self, height: int, width: int) -> tuple[int, int]:
        """The size to which an image is padded."""
        size = _size((height, width))
        built_for = zip(self._fixed, (height, width), strict=True)
        if any(fixed is not None and side > fixed for fixed, side in built_for):
            raise ValueError(
                f"{size} pixels are more than the {_size(self._fixed)} that model "
                f"{self._model.name!r} was built for; scale the image down, or cut it into parts."
            )
        bottom, right = (
            fixed or side + -side % self._multiple
            for fixed, side in zip(self._fixed, (height, width), strict=True)
        )
        if not sizes.fits(self._model, bottom, right):
            raise ValueError(
                f"{size} pixels, padded to {_size((bottom, right))}, are too few for model "
                f"{self._model.name!r}; scale the image up."
            )
        return bottom, right


class FixedSizePredictor:
    """Predicts images one by one with a network of one size, such as a `.tflite` file.

    An image is padded at the bottom and the right, with mid-grey, to the network's size, and the
    prediction is cropped back; or the image is scaled to it, and the prediction back.

    Args:
        network: Image, uint8 [H, W, 3], to the class of each pixel, integers [H, W].
        size: H and W.
        classes: How many there are.
        resizes: Whether images are scaled to the size, as the network has been trained.
    """

    def __init__(
        self,
        network: Callable[[Bytes], np.ndarray],
        size: tuple[int, int],
        *,
        classes: int,
        resizes: bool,
    ) -> None:
        """Keeps what it is given."""
        self.classes = classes
        self._network = network
        self._size = size
        self._resizes = resizes

    def __call__(self, image: Bytes) -> Bytes:
        """Predicts one image.

        Args:
            image: uint8 [H, W, 3], RGB.

        Returns:
            The class of each pixel, uint8 [H, W].

        Raises:
            ValueError: The image is larger than the network's size.
        """
        height, width = image.shape[:2]
        if self._resizes:
            label = self._network(resize_image(image, self._size)).astype(np.uint8)
            return resize_labels(label, (height, width))
        if height > self._size[0] or width > self._size[1]:
            raise ValueError(
                f"{_size((height, width))} pixels are more than the file's {_size(self._size)}; "
                "scale the image down, or convert with a larger --size."
            )
        padded = np.full((*self._size, 3), MID_GREY, np.uint8)
        padded[:height, :width] = image
        return self._network(padded)[:height, :width].astype(np.uint8)


def _size(sides: tuple[int | None, ...]) -> str:
    return " x ".join("any" if side is None else str(side) for side in sides)
