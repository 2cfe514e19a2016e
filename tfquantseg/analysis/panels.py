"""Segmentations of several runs side by side: the paper's Figures 7 and 11."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfquantseg import metrics, pictures
from tfquantseg.analysis.figure import Figure
from tfquantseg.data import SegmentationData
from tfquantseg.data.segmentation import Bytes

EXAMPLES = 4
"""Of the split, the first ones."""


def panels(predictors: Mapping[str, Callable[[Bytes], Bytes]], data: SegmentationData) -> Figure:
    """Shows image, ground truth and what each run makes of it.

    Args:
        predictors: by run, image uint8 [H, W, 3] to the class of each pixel, uint8 [H, W].
        data: the split.

    Raises:
        ValueError: an example cannot be read, or its size does not fit a model.
    """
    tiles, captions = [], []
    rows: list[tuple[Any, ...]] = []
    ignore = data.ignore_label
    for index in range(min(EXAMPLES, len(data))):
        image, label = data.read(index)
        key = data.examples[index].key
        tiles += [image, pictures.overlay(image, label, data.palette, ignore_label=ignore)]
        captions += [key, "ground truth"]
        for name, predict in predictors.items():
            guess = predict(image)
            miou, boundary = _scores(label, guess, data)
            shown = np.where(label == ignore, label, guess).astype(np.uint8)
            tiles.append(pictures.overlay(image, shown, data.palette, ignore_label=ignore))
            captions.append(name if miou is None else f"{name}: {miou:.1%}")
            known = ("" if score is None else score for score in (miou, boundary))
            rows.append((key, name, *known))
    legend = zip(data.classes, data.palette, strict=True)
    columns = 2 + len(predictors)
    picture = pictures.contact_sheet(tiles, captions, columns=columns, legend=legend)
    return Figure("panels", picture, ("example", "run", "miou", "boundary_miou"), tuple(rows))


def _scores(label: Bytes, guess: Bytes, data: SegmentationData) -> list[float | None]:
    """The mIoU of one image and that near its boundaries; None where nothing counts."""
    truth, seen = label[np.newaxis].astype(np.int64), guess[np.newaxis]
    classes, ignore = len(data.classes), data.ignore_label
    found = []
    for counted in (truth, metrics.near_boundary(truth, ignore=ignore)):
        counts = metrics.confusion_matrices(counted, seen, classes, ignore)
        found.append(metrics.scores(counts).miou if counts.any() else None)
    return found
