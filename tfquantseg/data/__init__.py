"""Segmentation data: `load` finds it, `batches` feeds it to a network."""

from tfquantseg.data.class_balance import class_weights
from tfquantseg.data.pipeline import batches, steps_per_epoch
from tfquantseg.data.registry import load, splits
from tfquantseg.data.segmentation import Example, Pair, SegmentationData

__all__ = [
    "Example",
    "Pair",
    "SegmentationData",
    "batches",
    "class_weights",
    "load",
    "splits",
    "steps_per_epoch",
]
