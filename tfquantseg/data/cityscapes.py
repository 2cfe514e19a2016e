"""Cityscapes: 19 classes of street scenes in 50 cities.

```
cityscapes/  leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png  leftImg8bit/val/
             gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png   gtFine/val/
```

A mask holds the publisher's 34 identifiers, 0 to 33, of which 19 are the classes that are scored
(*train identifiers*), and all others are ignored. Where a labelIds.png is missing, the
labelTrainIds.png beside it is read, which the publisher's scripts make: 0 to 18, and 255 for what
is ignored. The masks of the publisher's split test are empty, so that there is none here.

Reference: Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding",
arXiv:1604.01685; identifiers, names and colours are those of its scripts (labels.py).
"""

from __future__ import annotations

import functools
import os
import pathlib
from typing import NamedTuple

from tfquantseg.data import image_files, listing, mask_values
from tfquantseg.data.layout import Layout
from tfquantseg.data.palette import Colour
from tfquantseg.data.segmentation import Example, Pair, SegmentationData
from tfquantseg.names import unknown_name

SPLITS = ("train", "val")
IGNORE = 255


class _Class(NamedTuple):
    identifier: int
    name: str
    colour: Colour


_CLASSES = (
    _Class(7, "road", (128, 64, 128)),
    _Class(8, "sidewalk", (244, 35, 232)),
    _Class(11, "building", (70, 70, 70)),
    _Class(12, "wall", (102, 102, 156)),
    _Class(13, "fence", (190, 153, 153)),
    _Class(17, "pole", (153, 153, 153)),
    _Class(19, "traffic light", (250, 170, 30)),
    _Class(20, "traffic sign", (220, 220, 0)),
    _Class(21, "vegetation", (107, 142, 35)),
    _Class(22, "terrain", (152, 251, 152)),
    _Class(23, "sky", (70, 130, 180)),
    _Class(24, "person", (220, 20, 60)),
    _Class(25, "rider", (255, 0, 0)),
    _Class(26, "car", (0, 0, 142)),
    _Class(27, "truck", (0, 0, 70)),
    _Class(28, "bus", (0, 60, 100)),
    _Class(31, "train", (0, 80, 100)),
    _Class(32, "motorcycle", (0, 0, 230)),
    _Class(33, "bicycle", (119, 11, 32)),
)
CLASSES = tuple(each.name for each in _CLASSES)
PALETTE = tuple(each.colour for each in _CLASSES)
LAYOUT = Layout(
    title="Cityscapes",
    place="cityscapes",
    holds=("leftImg8bit/", "gtFine/"),
    obtain="It is behind a login, so it is not fetched for you: get leftImg8bit_trainvaltest.zip "
    "and gtFine_trainvaltest.zip at https://www.cityscapes-dataset.com/downloads/ (its own "
    "licence, for research), and unpack both into one folder.",
)
_IMAGE = "_leftImg8bit.png"
# The kinds of masks, by the end of their names, and the label of each of their bytes.
_IDENTIFIERS, _TRAIN_IDENTIFIERS = "_gtFine_labelIds.png", "_gtFine_labelTrainIds.png"
_TABLES = {
    _IDENTIFIERS: {
        **dict.fromkeys(range(34), IGNORE),
        **{each.identifier: label for label, each in enumerate(_CLASSES)},
    },
    _TRAIN_IDENTIFIERS: {**{label: label for label in range(len(_CLASSES))}, IGNORE: IGNORE},
}
_ACCEPTED = {
    _IDENTIFIERS: "the identifiers 0 to 33",
    _TRAIN_IDENTIFIERS: "the train identifiers 0 to 18 and 255 (ignored)",
}


def load(split: str, root: str | os.PathLike[str] | None = None) -> SegmentationData:
    """Loads a split of Cityscapes; what is none of the 19 classes is ignored.

    Args:
        split: `"train"` or `"val"`.
        root: The folder that holds leftImg8bit/ and gtFine/; by default `cityscapes` in the folder
            that the environment variable `TFQUANTSEG_DATA` names.

    Raises:
        ValueError: An unknown split; a folder is missing; an image has no mask.
    """
    if split not in SPLITS:
        raise unknown_name("split of data set 'cityscapes'", split, SPLITS)
    folder = LAYOUT.find(root)
    LAYOUT.require(folder, (f"leftImg8bit/{split}/", f"gtFine/{split}/"))
    images = sorted((folder / "leftImg8bit" / split).glob(f"*/*{_IMAGE}"))
    masks = [_mask(folder / "gtFine" / split / image.parent.name, image) for image in images]
    listing.require(
        masks, "masks", str(folder / "leftImg8bit" / split), f"Complete gtFine/. {LAYOUT.obtain}"
    )
    return SegmentationData(
        name="cityscapes",
        split=split,
        classes=CLASSES,
        palette=PALETTE,
        examples=tuple(
            Example(
                key=image.name.removesuffix(_IMAGE),
                origin=f"{image} with {mask}",
                decode=functools.partial(_decode, image, mask),
                files=(image, mask),
            )
            for image, mask in zip(images, masks, strict=True)
        ),
        ignore_label=IGNORE,
    )


def splits(root: str | os.PathLike[str] | None = None) -> tuple[str, ...]:
    """The splits whose images are there.

    Args:
        root: See `load`.

    Raises:
        ValueError: The folder is missing.
    """
    folder = LAYOUT.find(root)
    return tuple(split for split in SPLITS if (folder / "leftImg8bit" / split).is_dir())


def _mask(folder: pathlib.Path, image: pathlib.Path) -> pathlib.Path:
    """The mask of an image: that of identifiers, unless only the other is there."""
    stem = image.name.removesuffix(_IMAGE)
    masks = [folder / f"{stem}{kind}" for kind in _TABLES]
    return next((mask for mask in masks if mask.is_file()), masks[0])


def _decode(image: pathlib.Path, mask: pathlib.Path) -> Pair:
    kind = next(kind for kind in _TABLES if mask.name.endswith(kind))
    labels = mask_values.to_labels(
        image_files.read_labels(mask),
        _TABLES[kind],
        mask=mask,
        accepted=_ACCEPTED[kind],
        advice=f"Replace the file. {LAYOUT.obtain}",
    )
    return Pair(image_files.read_image(image), labels)
