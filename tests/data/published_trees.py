"""Small trees in the layouts of published data sets."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import scipy.io
from PIL import Image

from tfquantseg.data import voc2012

VOC_LABELS = np.array([[0, 1, 255, 20], [15, 15, 0, 0], [0, 2, 2, 0]], np.uint8)


def photo(path: pathlib.Path, height: int, width: int, grey: int = 100) -> None:
    """Writes an image of one grey, as JPEG or PNG by its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), grey, np.uint8)).save(path)


def mask(
    path: pathlib.Path,
    labels: np.ndarray,
    palette: Sequence[tuple[int, int, int]] | None = None,
) -> None:
    """Writes a mask as PNG: of colours [H, W, 3], of bytes [H, W], or of indices of a palette."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels)
    if palette is not None:
        image.putpalette([channel for colour in palette for channel in colour])
    image.save(path)


def voc_mask(path: pathlib.Path, labels: np.ndarray = VOC_LABELS) -> None:
    """Writes a mask as VOC's are, with its palette of 256 colours."""
    mask(path, labels, [voc2012.colour(index) for index in range(256)])


def voc(
    folder: pathlib.Path,
    lists: Mapping[str, Sequence[str]] | None = None,
    labels: np.ndarray = VOC_LABELS,
) -> pathlib.Path:
    """Makes VOCdevkit/VOC2012 in `folder`; names of train_aug get an image and no mask.

    Returns:
        The folder VOC2012.
    """
    root = folder / "VOCdevkit/VOC2012"
    names = lists or {"train": ("2007_a", "2007_b"), "val": ("2007_c",)}
    for split, of_split in names.items():
        listing = root / "ImageSets/Segmentation" / f"{split}.txt"
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text("".join(f"{name}\n" for name in of_split))
        for name in of_split:
            photo(root / "JPEGImages" / f"{name}.jpg", *labels.shape)
            if split != voc2012.AUGMENTED:
                voc_mask(root / "SegmentationClass" / f"{name}.png", labels)
    return root


def sbd(
    folder: pathlib.Path, lists: Mapping[str, Sequence[str]], labels: np.ndarray
) -> pathlib.Path:
    """Makes benchmark_RELEASE/dataset in `folder`, with SBD's lists and masks.

    Returns:
        The folder dataset.
    """
    root = folder / "benchmark_RELEASE/dataset"
    (root / "cls").mkdir(parents=True)
    for split, names in lists.items():
        (root / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for name in names:
            content = {"Boundaries": [], "CategoriesPresent": [1], "Segmentation": labels}
            scipy.io.savemat(root / "cls" / f"{name}.mat", {"GTcls": content})
    return root


def ade(
    folder: pathlib.Path,
    labels: np.ndarray,
    training: Sequence[str] = ("1", "2"),
    validation: Sequence[str] = ("1",),
) -> pathlib.Path:
    """Makes ADEChallengeData2016 in `folder`, without objectInfo150.txt.

    Returns:
        The folder ADEChallengeData2016.
    """
    root = folder / "ADEChallengeData2016"
    for part, short, names in (
        ("training", "train", training),
        ("validation", "val", validation),
    ):
        for name in names:
            stem = f"ADE_{short}_{name:>08}"
            photo(root / "images" / part / f"{stem}.jpg", *labels.shape)
            mask(root / "annotations" / part / f"{stem}.png", labels)
    return root


CITY_IDENTIFIERS = np.array([[0, 7, 8], [33, 26, 4]], np.uint8)


def cityscapes(
    root: pathlib.Path, split: str = "train", names: Sequence[str] = ("bonn_000001", "aachen_1")
) -> pathlib.Path:
    """Makes the images of one split, each below its city, with masks of identifiers."""
    for name in names:
        city = name.split("_")[0]
        photo(root / f"leftImg8bit/{split}/{city}/{name}_leftImg8bit.png", 2, 3)
        mask(root / f"gtFine/{split}/{city}/{name}_gtFine_labelIds.png", CITY_IDENTIFIERS)
    return root


ROAD_COLOURS = np.array([[[255, 0, 255], [255, 0, 0]], [[0, 0, 0], [255, 0, 0]]], np.uint8)


def kitti_road(root: pathlib.Path) -> pathlib.Path:
    """Makes two images of each category; the lane of um is where its road is not."""
    for category in ("um", "umm", "uu"):
        for number in ("000000", "000001"):
            photo(root / f"training/image_2/{category}_{number}.png", 2, 2)
            masks = root / "training/gt_image_2"
            mask(masks / f"{category}_road_{number}.png", ROAD_COLOURS)
            if category == "um":
                mask(masks / f"um_lane_{number}.png", ROAD_COLOURS[:, ::-1].copy())
    return root


def ecssd(root: pathlib.Path, names: Sequence[str] = ("0001", "0002")) -> pathlib.Path:
    """Makes pairs whose object is on one diagonal."""
    for name in names:
        photo(root / f"images/{name}.jpg", 2, 2)
        mask(root / f"ground_truth_mask/{name}.png", np.array([[0, 255], [255, 0]], np.uint8))
    return root
