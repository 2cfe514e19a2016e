"""ECSSD: 1,000 photographs, each with the mask of what catches the eye; two classes.

```
ECSSD/  images/0001.jpg ... 1000.jpg  ground_truth_mask/0001.png ... 1000.png
```

A mask is grey: 0 for the background, 255 for the object. The publisher has no splits: take parts of
`all`, as `"all[:0.8]"` and `"all[0.8:]"`.

Reference: Shi et al., "Hierarchical Image Saliency Detection on Extended CSSD", TPAMI 2016.
"""

from __future__ import annotations

import os
import pathlib

from tfquantseg.data import file_pairs, image_files, mask_values
from tfquantseg.data.layout import Layout
from tfquantseg.data.segmentation import Pair, SegmentationData
from tfquantseg.names import unknown_name

SPLITS = ("all",)
CLASSES = ("background", "object")
PALETTE = ((0, 0, 0), (255, 255, 255))
LAYOUT = Layout(
    title="ECSSD",
    place="ECSSD",
    holds=("images/", "ground_truth_mask/"),
    obtain="No licence is stated, so it is not fetched for you: get images.zip and "
    "ground_truth_mask.zip at https://www.cse.cuhk.edu.hk/leojia/projects/hsaliency/dataset.html, "
    "and unpack both into one folder.",
)
_TABLE = {0: 0, 255: 1}


def load(split: str, root: str | os.PathLike[str] | None = None) -> SegmentationData:
    """Loads ECSSD; every pixel counts.

    Args:
        split: `"all"`.
        root: The folder ECSSD; by default `ECSSD` in the folder that the environment variable
            `TFQUANTSEG_DATA` names.

    Raises:
        ValueError: An unknown split; a folder is missing; an image has no mask, or a mask no image.
    """
    if split not in SPLITS:
        raise unknown_name("split of data set 'ecssd'", split, SPLITS)
    folder = LAYOUT.find(root)
    LAYOUT.require(folder, LAYOUT.holds)
    pairs = file_pairs.match(
        {path.stem: path for path in (folder / "images").glob("*.jpg")},
        {path.stem: path for path in (folder / "ground_truth_mask").glob("*.png")},
        f"{folder / 'images'} (.jpg) and {folder / 'ground_truth_mask'} (.png)",
        f"Complete the folders. {LAYOUT.obtain}",
    )
    return SegmentationData(
        name="ecssd",
        split=split,
        classes=CLASSES,
        palette=PALETTE,
        examples=file_pairs.examples(pairs, _decode),
    )


def splits(root: str | os.PathLike[str] | None = None) -> tuple[str, ...]:
    """All splits.

    Raises:
        ValueError: The folder is missing.
    """
    LAYOUT.find(root)
    return SPLITS


def _decode(image: pathlib.Path, mask: pathlib.Path) -> Pair:
    labels = mask_values.to_labels(
        image_files.read_labels(mask),
        _TABLE,
        mask=mask,
        accepted="0 (background) and 255 (object)",
        advice="A mask between black and white was scaled or saved as JPEG, and which class was "
        f"meant can only be guessed: replace it. {LAYOUT.obtain}",
    )
    return Pair(image_files.read_image(image), labels)
