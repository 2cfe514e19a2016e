"""Some images of a split, evenly spread over it: what activations are measured on."""

from __future__ import annotations

import dataclasses

import numpy as np
from ml_collections import ConfigDict

from tfquantseg.data import SegmentationData, batches
from tfquantseg.training.step import readable


def evenly(data: SegmentationData, count: int) -> SegmentationData:
    """Returns a part of a split: at most `count` examples, evenly spread."""
    chosen = np.unique(np.linspace(0, len(data) - 1, min(count, len(data))).astype(int))
    return dataclasses.replace(data, examples=tuple(data.examples[index] for index in chosen))


def some_images(data: SegmentationData, config: ConfigDict, most: int) -> list[np.ndarray]:
    """Returns images of a split, evenly spread over it, as evaluation sees them.

    Args:
        data: The split.
        config: The run's config; how images are sized.
        most: Of images, at most.

    Returns:
        uint8 [H, W, 3] each.

    Raises:
        ValueError: An example cannot be read.
    """
    dataset = batches(
        evenly(data, most),
        batch=1,
        training=False,
        size=tuple(config.data.size),
        fit=config.data.fit,
        multiple=config.data.multiple,
    )
    return [images[0].numpy().astype(np.uint8) for images, _ in readable(dataset)]
