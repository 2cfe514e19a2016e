"""Scores of anything that classes the pixels of one image of one size, such as a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from ml_collections import ConfigDict

from tfquantseg import metrics
from tfquantseg.data import SegmentationData, batches
from tfquantseg.data.pipeline import MID_GREY
from tfquantseg.data.segmentation import Bytes
from tfquantseg.training.step import readable


def images_of_size(
    data: SegmentationData, config: ConfigDict, size: tuple[int, int]
) -> Iterator[tuple[Bytes, Bytes]]:
    """Yields the examples of a split as a run of this config evaluates them, padded to one size.

    Args:
        data: The split.
        config: The run's config; whether images are scaled.
        size: Height and width, pixels. Padding is mid-grey, at the bottom and the right.

    Yields:
        The image, uint8 [H, W, 3], and the labels of its part that is not padding, int32 [h, w].

    Raises:
        ValueError: An example cannot be read, or is larger than `size`.
    """
    height, width = size
    dataset = batches(
        data, batch=1, training=False, size=tuple(config.data.size), fit=config.data.fit
    )
    for example, (images, labels) in zip(data.examples, readable(dataset), strict=True):
        image, label = images[0].numpy(), labels[0].numpy()
        if label.shape[0] > height or label.shape[1] > width:
            raise ValueError(
                f"{example.origin}: {label.shape[0]} x {label.shape[1]} pixels are more than "
                f"{height} x {width}; give a size that holds every image of {data.split}."
            )
        padded = np.full((height, width, 3), MID_GREY, np.uint8)
        padded[: label.shape[0], : label.shape[1]] = image
        yield padded, label


def counts_of(
    predict: Callable[[Bytes], np.ndarray],
    data: SegmentationData,
    config: ConfigDict,
    size: tuple[int, int],
    *,
    seen: Callable[[], None] = lambda: None,
) -> metrics.Counts:
    """Confusion matrices, int64 [images, C, C], in the order of the split.

    Args:
        predict: Image, uint8 [H, W, 3], to the class of each pixel, integers [H, W].
        data: The split.
        config: The run's config.
        size: H and W.
        seen: Called after each image.

    Raises:
        ValueError: See `images_of_size`.
    """
    counts = []
    for image, label in images_of_size(data, config, size):
        guess = predict(image)[: label.shape[0], : label.shape[1]]
        counts.append(
            metrics.confusion_matrices(
                label[np.newaxis],
                guess[np.newaxis].astype(np.int32),
                len(data.classes),
                data.ignore_label,
            )
        )
        seen()
    return np.concatenate(counts)
