"""Finds a data set by its name, and takes a part of a split."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

from tfquantseg.data import (
    ade20k,
    camvid,
    cityscapes,
    digits,
    ecssd,
    folder,
    kitti_road,
    voc2012,
)
from tfquantseg.data.cache import in_memory
from tfquantseg.data.segmentation import SegmentationData
from tfquantseg.names import unknown_name

_DATA_SETS = {
    "ade20k": ade20k,
    "camvid": camvid,
    "cityscapes": cityscapes,
    "digits": digits,
    "ecssd": ecssd,
    "folder": folder,
    "kitti_road": kitti_road,
    "voc2012": voc2012,
}
_SPLIT = re.compile(r"(?P<name>[^\[\]]+)(\[(?P<start>[^:]*):(?P<stop>[^:]*)\])?")


def load(name: str, split: str, *, cache_bytes: int = 2**30, **options: Any) -> SegmentationData:
    """Loads one split of a data set, or a part of it.

    `load("camvid", "train[:0.8]")` is the first 80 % of the training images in the order of the
    data set, `"train[0.8:]"` the rest: the two share no image and miss none. Parts are contiguous
    because neighbouring frames of a video are nearly the same image.

    Args:
        name: `"ade20k"`, `"camvid"`, `"cityscapes"`, `"digits"`, `"ecssd"`, `"kitti_road"`,
            `"voc2012"`, or `"folder"`, which is your own.
        split: One of the data set's, as `"train"`, `"val"` or `"test"`; with a slice, its bounds
            are fractions in 0..1.
        cache_bytes: Decoded examples stay in memory as uint8 up to this many bytes.
        **options: Those of the data set, such as `root`, the path of a `"folder"`: the arguments of
            the function `load` in the module of its name, `tfquantseg.data.folder`.

    Returns:
        The examples of the split, not decoded yet, with the names and colours of the classes.

    Raises:
        ValueError: A name, split, slice or option is not known, or the data is missing or broken.
    """
    _check(name, options)
    base, start, stop = _parse(split)
    whole: SegmentationData = _DATA_SETS[name].load(base, **options)
    # Both bounds are rounded alike, so that [:f] and [f:] meet without a gap.
    first, last = round(start * len(whole)), round(stop * len(whole))
    if first >= last:
        raise ValueError(
            f"{split!r} holds none of the {len(whole)} examples of {name} {base}; widen the slice."
        )
    part = dataclasses.replace(whole, split=split, examples=whole.examples[first:last])
    return in_memory(part, cache_bytes)


def splits(name: str, **options: Any) -> tuple[str, ...]:
    """The splits that a data set has where it lies: those that `load` can load.

    Args:
        name: One of the data sets that `load` knows.
        **options: Those that `load` takes for it.

    Returns:
        The names of the splits, without slices.

    Raises:
        ValueError: A name or option is not known, or the data is missing.
    """
    _check(name, options)
    of = _DATA_SETS[name].splits
    accepted = inspect.signature(of).parameters
    found: tuple[str, ...] = of(**{key: options[key] for key in options if key in accepted})
    return found


def _check(name: str, options: dict[str, Any]) -> None:
    """Checks the names of a data set and of its options."""
    if name not in _DATA_SETS:
        raise unknown_name("data set", name, _DATA_SETS)
    accepted = [*list(inspect.signature(_DATA_SETS[name].load).parameters)[1:], "cache_bytes"]
    for option in options:
        if option not in accepted:
            raise unknown_name(f"option of data set {name!r}", option, accepted)


def _parse(split: str) -> tuple[str, float, float]:
    """Splits `"train[0.2:0.8]"` into `("train", 0.2, 0.8)`."""
    match = _SPLIT.fullmatch(split)
    try:
        if match is None:
            raise ValueError
        start, stop = float(match["start"] or 0), float(match["stop"] or 1)
        if not 0 <= start < stop <= 1:
            raise ValueError
    except ValueError:
        raise ValueError(
            f"Split {split!r} is not understood; accepted is a name, or a name and a slice of "
            "fractions in 0..1, as in 'train', 'train[:0.8]' or 'train[0.8:]'."
        ) from None
    return match["name"], start, stop
