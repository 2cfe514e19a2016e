"""KITTI road: 289 street scenes, road or ego lane against the rest; two classes.

```
KITTI_road/  training/image_2/um_000000.png  training/gt_image_2/um_road_000000.png
                                             training/gt_image_2/um_lane_000000.png
```

um, umm and uu are its categories: urban marked (95 images), marked with several lanes (96), and
unmarked (98). A mask is in colours: (255, 0, 255) is road or lane, (255, 0, 0) what was labelled
and is not, black was not labelled and is ignored. The ego lane is labelled in um only.

The publisher's testing/ has no masks, so that there is one split, `train`. Its order is by number
and then by category: um_000000, umm_000000, uu_000000, um_000001 ... Numbers follow the drives, so
that parts such as `"train[:0.8]"` and `"train[0.8:]"` hold all categories and few neighbours.

Reference: Fritsch et al., "A new performance measure and evaluation benchmark for road detection
algorithms", ITSC 2013.
"""

from __future__ import annotations

import os
import pathlib
import re

from tfquantseg.data import coloured_masks, file_pairs, image_files
from tfquantseg.data.layout import Layout
from tfquantseg.data.segmentation import Pair, SegmentationData
from tfquantseg.names import unknown_name

SPLITS = ("train",)
TARGETS = ("road", "lane")
PALETTE = ((255, 0, 0), (255, 0, 255))
UNLABELLED = (0, 0, 0)
IGNORE = 255
LAYOUT = Layout(
    title="KITTI road",
    place="KITTI_road",
    holds=("training/image_2/", "training/gt_image_2/"),
    obtain="It is behind a login, so it is not fetched for you: get data_road.zip at "
    "https://www.cvlibs.net/datasets/kitti/eval_road.php (licence CC BY-NC-SA 3.0), unpack it, and "
    "call its folder data_road KITTI_road.",
)
_IMAGE = re.compile(r"(?P<category>um|umm|uu)_(?P<number>\d{6})\.png")
_MASK = re.compile(r"(?P<category>um|umm|uu)_(?P<target>road|lane)_(?P<number>\d{6})\.png")


def load(
    split: str, root: str | os.PathLike[str] | None = None, target: str = "road"
) -> SegmentationData:
    """Loads KITTI road; pixels that were not labelled are ignored.

    Args:
        split: `"train"`.
        root: The folder KITTI_road; by default `KITTI_road` in the folder that the environment
            variable `TFQUANTSEG_DATA` names.
        target: `"road"`, in all images, or `"lane"`, the ego lane, in those of um.

    Raises:
        ValueError: An unknown split or target; a folder is missing or holds other files; an image
            has no mask, or a mask no image.
    """
    if split not in SPLITS:
        raise unknown_name("split of data set 'kitti_road'", split, SPLITS)
    if target not in TARGETS:
        raise unknown_name("target of data set 'kitti_road'", str(target), TARGETS)
    folder = LAYOUT.find(root)
    LAYOUT.require(folder, LAYOUT.holds)
    masks = _by_number(folder / "training/gt_image_2", _MASK, target)
    images = _by_number(folder / "training/image_2", _IMAGE, target)
    pairs = file_pairs.match(
        images,
        masks,
        f"{folder / 'training/image_2'} and {folder / 'training/gt_image_2'}, by its masks of "
        f"{target},",
        f"Complete the folders. {LAYOUT.obtain}",
    )
    return SegmentationData(
        name="kitti_road",
        split=split,
        classes=(f"not {target}", target),
        palette=PALETTE,
        examples=file_pairs.examples(pairs, _decode),
        ignore_label=IGNORE,
    )


def splits(root: str | os.PathLike[str] | None = None) -> tuple[str, ...]:
    """All splits.

    Raises:
        ValueError: The folder is missing.
    """
    LAYOUT.find(root)
    return SPLITS


def _by_number(
    folder: pathlib.Path, pattern: re.Pattern[str], target: str
) -> dict[str, pathlib.Path]:
    """The images, or the masks of a target, by number and category; the key sorts by number."""
    found = {}
    for path in sorted(folder.glob("*.png")):
        match = pattern.fullmatch(path.name)
        if match is None:
            raise ValueError(
                f"{folder} holds {path.name}, which is called like no file of KITTI road; "
                "accepted are um, umm or uu, then for masks road or lane, then six digits, as in "
                "um_000000.png and um_road_000000.png. Move it elsewhere."
            )
        wanted = match.groupdict().get("target", target) == target
        if wanted and (target == "road" or match["category"] == "um"):
            found[f"{match['number']} {match['category']}"] = path
    return found


def _decode(image: pathlib.Path, mask: pathlib.Path) -> Pair:
    labels = coloured_masks.read(
        mask,
        PALETTE,
        ignore_colour=UNLABELLED,
        ignore_label=IGNORE,
        advice="Accepted are 255 0 255 (road or lane), 255 0 0 (not) and 0 0 0 (not labelled): "
        f"replace the file. {LAYOUT.obtain}",
    )
    return Pair(image_files.read_image(image), labels)
