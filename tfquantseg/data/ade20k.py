"""ADE20K as the scene parsing challenge has it (SceneParse150): 150 classes, and "other".

```
ADEChallengeData2016/  images/training/ADE_train_00000001.jpg    images/validation/
                       annotations/training/ADE_train_00000001.png  annotations/validation/
                       objectInfo150.txt
```

A mask holds 0 for other objects, which are ignored, and 1 to 150 for the classes, which are the
labels 0 to 149. The names are those of objectInfo150.txt, of each the first of its synonyms; where
it is missing, those of ade20k_classes.py.

The full release of ADE20K looks alike and is not: it has one folder a scene, masks in colours
(*_seg.png) and thousands of classes. It is refused.

Reference: Zhou et al., "Scene Parsing through ADE20K Dataset", CVPR 2017.
"""

from __future__ import annotations

import os
import pathlib

from tfquantseg.data import file_pairs, image_files, listing, mask_values
from tfquantseg.data.ade20k_classes import NAMES, PALETTE
from tfquantseg.data.layout import Layout
from tfquantseg.data.segmentation import Pair, SegmentationData
from tfquantseg.names import unknown_name

SPLITS = {"train": "training", "val": "validation"}
"""The folder of each split."""
IGNORE = 255
NAMES_FILE = "objectInfo150.txt"
LAYOUT = Layout(
    title="SceneParse150 (ADE20K)",
    place="ADEChallengeData2016",
    holds=("images/", "annotations/", NAMES_FILE),
    obtain="The command `data download ade20k` fetches it.",
)
_TABLE = {0: IGNORE, **{label + 1: label for label in range(len(NAMES))}}
_FULL_INDEX = ("index_ade20k.mat", "index_ade20k.pkl")


def load(split: str, root: str | os.PathLike[str] | None = None) -> SegmentationData:
    """Loads a split of SceneParse150; other objects are ignored.

    Args:
        split: `"train"` or `"val"`.
        root: The folder that holds images/ and annotations/; by default `ADEChallengeData2016` in
            the folder that the environment variable `TFQUANTSEG_DATA` names.

    Raises:
        ValueError: An unknown split; a folder is missing, or holds the full release of ADE20K; an
            image has no mask, or a mask no image; objectInfo150.txt is there and is another file.
    """
    if split not in SPLITS:
        raise unknown_name("split of data set 'ade20k'", split, SPLITS)
    folder = _find(root)
    part = SPLITS[split]
    LAYOUT.require(folder, (f"images/{part}/", f"annotations/{part}/"))
    images, masks = folder / "images" / part, folder / "annotations" / part
    pairs = file_pairs.match(
        {path.stem: path for path in images.glob("*.jpg")},
        {path.stem: path for path in masks.glob("*.png")},
        f"{images} (.jpg) and {masks} (.png)",
        f"Complete the folders. {LAYOUT.obtain}",
    )
    return SegmentationData(
        name="ade20k",
        split=split,
        classes=_names(folder / NAMES_FILE),
        palette=PALETTE,
        examples=file_pairs.examples(pairs, _decode),
        ignore_label=IGNORE,
    )


def splits(root: str | os.PathLike[str] | None = None) -> tuple[str, ...]:
    """The splits whose images are there.

    Args:
        root: See `load`.

    Raises:
        ValueError: The folder is missing, or holds the full release of ADE20K.
    """
    folder = _find(root)
    return tuple(split for split, part in SPLITS.items() if (folder / "images" / part).is_dir())


def _find(root: str | os.PathLike[str] | None) -> pathlib.Path:
    """The folder, if it is not that of the full release."""
    folder = LAYOUT.find(root)
    sign = _full_release(folder)
    if sign is not None:
        raise ValueError(
            f"{folder} is the full release of ADE20K, as {sign} tells; expected is the release of "
            f"the scene parsing challenge, which has 150 classes, one folder a split and masks of "
            f"one byte a pixel. {LAYOUT.obtain}"
        )
    return folder


def _full_release(folder: pathlib.Path) -> pathlib.Path | None:
    """A file or folder that only the full release has."""
    for name in (*_FULL_INDEX, "images/ADE"):
        if (folder / name).exists():
            return folder / name
    for part in SPLITS.values():
        images = folder / "images" / part
        # The challenge release has one flat folder of photographs; the first entry tells.
        first = next(images.iterdir(), None) if images.is_dir() else None
        if first is not None and (first.is_dir() or first.name.endswith("_seg.png")):
            return first
    return None


def _names(path: pathlib.Path) -> tuple[str, ...]:
    """The names of the classes: the file's, or ours where there is none."""
    if not path.is_file():
        return NAMES
    names: list[str] = []
    for number, line in listing.lines(path)[1:]:
        columns = line.split("\t")
        if len(columns) != 5 or columns[0].strip() != str(len(names) + 1):
            raise ValueError(
                f"{path}, line {number} is {line!r}; accepted are the columns Idx, Ratio, Train, "
                f"Val and Name with tabs between, Idx being {len(names) + 1} there. Replace the "
                f"file, or remove it. {LAYOUT.obtain}"
            )
        names.append(columns[4].split(",")[0].strip())
    if len(names) != len(NAMES):
        raise ValueError(
            f"{path} names {len(names)} classes; accepted are {len(NAMES)}. Replace the file, or "
            f"remove it. {LAYOUT.obtain}"
        )
    return tuple(names)


def _decode(image: pathlib.Path, mask: pathlib.Path) -> Pair:
    labels = mask_values.to_labels(
        image_files.read_labels(mask),
        _TABLE,
        mask=mask,
        accepted=f"0 (other) and 1 to {len(NAMES)}, the classes",
        advice=f"Replace the file. {LAYOUT.obtain}",
    )
    return Pair(image_files.read_image(image), labels)
