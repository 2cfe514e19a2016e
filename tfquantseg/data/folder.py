"""A folder of your own: images, masks, and the names of the classes.

```
ROOT/  classes.txt  images/  masks/                                      one set, split here
ROOT/  classes.txt  train/images/  train/masks/  val/images/ ... test/   split by you
```

A *mask* is a PNG of one byte a pixel, grey or palette, that holds the label itself: 0 for the first
line of classes.txt (class_list.py), 1 for the second, 255 for pixels that count in nothing. The
colours of a palette mean nothing. An image is a PNG or JPEG of the same size, and its mask has the
same name but for the ending: `images/street 1.JPG` and `masks/street 1.png`. Whatever else lies in
these folders is an error; files whose name begins with a dot are left alone.

One set of images is split by the order of their names: the last `val_share` of them is `val`, all
before it `train`. Neighbours in that order are often nearly the same picture (frames of a video,
tiles of a map), and a split by chance would validate on what it has trained on. Where names go by
subject instead, split the images yourself, in folders; so too where images are still to be added,
which would move the border.
"""

from __future__ import annotations

import functools
import os
import pathlib

import numpy as np

from tfquantseg.data import class_list, file_pairs, image_files
from tfquantseg.data.segmentation import Pair, SegmentationData
from tfquantseg.names import first_few, unknown_name

SPLITS = ("train", "val", "test")
CLASSES = "classes.txt"
IMAGES = "images"
MASKS = "masks"
IGNORE = 255


def load(
    split: str, root: str | os.PathLike[str] | None = None, val_share: float = 0.2
) -> SegmentationData:
    """Loads a split of your own images.

    Files are matched at once and decoded when they are read.

    Args:
        split: `"train"`, `"val"` or `"test"`.
        root: The folder that holds classes.txt; `~` is your home.
        val_share: Share of the images that is `val` where one set is split here, above 0 and below
            1. Rounded to whole images, at least 1 and not all. Where the folders are split, it
            changes nothing.

    Raises:
        ValueError: An unknown split; the folder is not laid out as above, or holds no such split;
            classes.txt is not accepted (`class_list.read`); an image has no mask, a mask no image,
            a name stands twice, or a file is neither.
    """
    folders = _folders(root)
    if split not in SPLITS:
        raise unknown_name("split of data set 'folder'", split, folders)
    top = _top(root)
    if split not in folders:
        raise ValueError(
            f"{top} has no split {split!r}, only {' and '.join(folders)}. Make the folders "
            f"{top / split / IMAGES} and {top / split / MASKS}, or take a part of another split, "
            "as in 'train[:0.8]' and 'train[0.8:]'."
        )
    classes = class_list.read(top / CLASSES)
    files = _pairs(folders[split])
    if folders[split] == top:
        files = _part(files, split, val_share)
    return SegmentationData(
        name="folder",
        split=split,
        classes=classes.names,
        palette=classes.palette,
        examples=file_pairs.examples(
            files,
            functools.partial(_decode, classes=top / CLASSES, count=len(classes.names)),
        ),
        ignore_label=IGNORE,
    )


def splits(root: str | os.PathLike[str] | None = None) -> tuple[str, ...]:
    """The splits that a folder holds: those of `SPLITS` that `load` accepts.

    Raises:
        ValueError: The folder is missing or not laid out as above.
    """
    return tuple(_folders(root))


def masks_in(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """The PNG files of a folder, by name without ending, in the order of their names.

    Raises:
        ValueError: The folder is missing, empty, or holds something else; or a name stands twice.
    """
    return _by_stem(folder, (".png",), "PNG, since JPEG changes labels,")


def _top(root: str | os.PathLike[str] | None) -> pathlib.Path:
    if root is None or root == "":
        raise ValueError(
            f"Option `root` is empty. Give the folder that holds {CLASSES}, {IMAGES}/ and {MASKS}/ "
            "of your own: --config.data.options.root=FOLDER."
        )
    return pathlib.Path(root).expanduser()


def _folders(root: str | os.PathLike[str] | None) -> dict[str, pathlib.Path]:
    """The folder that holds images/ and masks/ of each split; one folder for both made here."""
    top = _top(root)
    if not top.is_dir():
        raise ValueError(
            f"There is no folder {top.absolute()}. Give the one that holds {CLASSES}: "
            "--config.data.options.root=FOLDER."
        )
    parted = {split: top / split for split in SPLITS if (top / split).is_dir()}
    whole = [name for name in (IMAGES, MASKS) if (top / name).is_dir()]
    if parted and whole:
        raise ValueError(
            f"{top} holds both {' and '.join([f'{name}/' for name in whole])} and "
            f"{' and '.join([f'{split}/' for split in parted])}, so that it is not clear what is "
            f"split. Keep either {IMAGES}/ and {MASKS}/, or one folder a split that holds both."
        )
    if not parted and not whole:
        above = top.absolute().parent
        if (above / CLASSES).is_file():
            raise ValueError(
                f"{top} is a part of your folder, as {CLASSES} lies above it. Did you mean "
                f"{above}? Give it as --config.data.options.root={above}."
            )
        there = sorted(path.name for path in top.iterdir())
        raise ValueError(
            f"{top} holds neither {IMAGES}/ and {MASKS}/ nor {', '.join(SPLITS)}, "
            f"{f'but {first_few(there)}' if there else 'and is empty'}. Put the images of one set "
            f"into {top / IMAGES} and their masks into {top / MASKS}, or those of each split into "
            f"{top / 'train' / IMAGES}, {top / 'train' / MASKS} and so on."
        )
    return parted or {"train": top, "val": top}


def _pairs(folder: pathlib.Path) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """Images and their masks, in the order of their names."""
    images = _by_stem(folder / IMAGES, (".png", ".jpg", ".jpeg"), "PNG or JPEG")
    masks = masks_in(folder / MASKS)
    return file_pairs.match(
        images,
        masks,
        f"{folder / IMAGES} and {folder / MASKS}",
        "A mask has the name of its image but for the ending, as a.jpg and a.png. Rename the "
        "files, or move what has no partner elsewhere.",
    )


def _by_stem(
    folder: pathlib.Path, endings: tuple[str, ...], accepted: str
) -> dict[str, pathlib.Path]:
    """The files of a folder, by name without ending."""
    if not folder.is_dir():
        raise ValueError(f"The folder {folder} is missing; make it, and put {folder.name} into it.")
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if not paths:
        raise ValueError(f"{folder} is empty; put the {folder.name} into it.")
    foreign = [path for path in paths if not path.is_file() or path.suffix.lower() not in endings]
    if foreign:
        raise ValueError(
            f"{folder} holds {first_few(path.name for path in foreign)}; accepted are {accepted} "
            "files only, and no folders. Convert them, or move them elsewhere."
        )
    found: dict[str, pathlib.Path] = {}
    for path in paths:
        if path.stem in found:
            raise ValueError(
                f"{folder} holds both {found[path.stem].name} and {path.name}, which are one "
                "example, as names count without their ending. Rename or remove one."
            )
        found[path.stem] = path
    return found


def _part(
    files: list[tuple[pathlib.Path, pathlib.Path]], split: str, val_share: float
) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """The part of one set that is `split`."""
    if not isinstance(val_share, int | float) or not 0 < val_share < 1:
        raise ValueError(
            f"Option `val_share` is {val_share!r}; accepted are shares above 0 and below 1."
        )
    if len(files) < 2:
        raise ValueError(
            f"There is only the image {files[0][0]}; at least 2 are needed, to train and to "
            "validate on."
        )
    held_out = min(max(round(val_share * len(files)), 1), len(files) - 1)
    return files[-held_out:] if split == "val" else files[:-held_out]


def _decode(image: pathlib.Path, mask: pathlib.Path, classes: pathlib.Path, count: int) -> Pair:
    labels = image_files.read_labels(mask)
    values, pixels = np.unique(labels, return_counts=True)
    beyond = {
        value: number
        for value, number in zip(values.tolist(), pixels.tolist(), strict=True)
        if count <= value != IGNORE
    }
    if beyond:
        found = first_few(f"{value} ({number} pixels)" for value, number in beyond.items())
        raise ValueError(
            f"{mask} holds labels that {classes} does not name: {found}. It names {count} classes, "
            f"labels 0 to {count - 1}; {IGNORE} is ignored. Add lines up to line "
            f"{max(beyond) + 1}, which names label {max(beyond)}, or correct the mask. If its "
            "values are shades or colours, the command `data index-masks` makes labels of them."
        )
    photo = image_files.read_image(image)
    if photo.shape[:2] == labels.shape[::-1] != labels.shape:
        raise ValueError(
            f"{image} is {labels.shape[1]} x {labels.shape[0]} and {mask} {labels.shape[0]} x "
            f"{labels.shape[1]} (height x width): one of them lies on its side. "
            f"{file_pairs.ON_ITS_SIDE}"
        )
    return Pair(photo, labels)
