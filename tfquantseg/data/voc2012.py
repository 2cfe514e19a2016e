"""PASCAL VOC 2012: 20 classes of objects and the background, with SBD's additional masks.

```
VOCdevkit/VOC2012/  JPEGImages/  SegmentationClass/  ImageSets/Segmentation/{train,val,trainval}.txt
                    SegmentationClassAug/  ImageSets/Segmentation/train_aug.txt
benchmark_RELEASE/dataset/  cls/  train.txt  val.txt
```

The first line is the publisher's archive. `train_aug` are the 10,582 images on which networks are
usually trained: VOC's and SBD's images without those of `val`. Its masks are PNG files in
SegmentationClassAug, as they are passed around; without that folder they are VOC's own where there
is one, and else SBD's (sbd.py). Its list is train_aug.txt, or made of the lists of VOC and SBD.

A mask is a palette PNG whose indices are the labels, or a grey one; 255 is void, the rim of an
object, and ignored. A palette of other colours than VOC's is refused: programs that save such a
file anew often number the colours anew, and then index 1 is no aeroplane any more.

Reference: Everingham et al., "The PASCAL Visual Object Classes Challenge: A Retrospective", IJCV
2015; names, order and colours of the classes are those of its development kit.
"""

from __future__ import annotations

import functools
import os
import pathlib
from collections.abc import Callable

from tfquantseg.data import image_files, listing, mask_values, sbd
from tfquantseg.data.layout import Layout
from tfquantseg.data.palette import Colour
from tfquantseg.data.segmentation import Bytes, Example, Pair, SegmentationData
from tfquantseg.names import first_few, unknown_name

AUGMENTED = "train_aug"
SPLITS = ("train", "val", "trainval", AUGMENTED)
CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
IGNORE = 255
LAYOUT = Layout(
    title="PASCAL VOC 2012",
    place="VOCdevkit/VOC2012",
    holds=("JPEGImages/", "SegmentationClass/", "ImageSets/Segmentation/"),
    obtain="The command `data download voc2012` fetches it.",
)
_IMAGES, _MASKS, _AUGMENTED_MASKS = "JPEGImages", "SegmentationClass", "SegmentationClassAug"
_LISTS = "ImageSets/Segmentation"
_TABLE = {**{label: label for label in range(len(CLASSES))}, IGNORE: IGNORE}

Reader = Callable[[pathlib.Path], Bytes]


def colour(label: int) -> Colour:
    """VOC's colour of a label: its bits, three by three, from the highest bit of each channel down.

    Bit 3i of the label is bit 7 - i of red, bit 3i + 1 of green, bit 3i + 2 of blue.

    Args:
        label: 0..255; 255 is void.
    """
    red, green, blue = (
        sum((label >> (3 * i + channel) & 1) << (7 - i) for i in range(8)) for channel in range(3)
    )
    return red, green, blue


PALETTE = tuple(colour(label) for label in range(len(CLASSES)))


def load(
    split: str,
    root: str | os.PathLike[str] | None = None,
    sbd_root: str | os.PathLike[str] | None = None,
) -> SegmentationData:
    """Loads a split of PASCAL VOC 2012; void pixels are ignored.

    Every file is looked for at once, so that one that is missing is reported now and not in the
    middle of a training run.

    Args:
        split: `"train"`, `"val"`, `"trainval"` or `"train_aug"`.
        root: The folder VOC2012; by default `VOCdevkit/VOC2012` in the folder that the environment
            variable `TFQUANTSEG_DATA` names.
        sbd_root: SBD's folder `dataset`, which holds cls/; by default `benchmark_RELEASE/dataset`
            beside VOCdevkit.

    Raises:
        ValueError: An unknown split; a folder, list, image or mask is missing, or SBD is where its
            masks are needed; a list is no text or names an image twice.
    """
    if split not in SPLITS:
        raise unknown_name("split of data set 'voc2012'", split, SPLITS)
    folder = LAYOUT.find(root)
    LAYOUT.require(folder, ("JPEGImages/", "ImageSets/Segmentation/"))
    if split == AUGMENTED:
        names, source = _augmented_names(folder, _sbd(folder, sbd_root))
        masks = _augmented_masks(folder, _sbd(folder, sbd_root), names)
    else:
        LAYOUT.require(folder, ("SegmentationClass/",))
        names, source = _names(_list(folder, split)), f"The list {_list(folder, split)}"
        masks = [(folder / _MASKS / f"{name}.png", _read_png) for name in names]
    images = [folder / _IMAGES / f"{name}.jpg" for name in names]
    advice = f"Complete the folder, or remove their names from the list. {LAYOUT.obtain}"
    listing.require(images, "images", source, advice)
    listing.require((mask for mask, _ in masks), "masks", source, advice)
    return SegmentationData(
        name="voc2012",
        split=split,
        classes=CLASSES,
        palette=PALETTE,
        examples=tuple(
            Example(
                key=image.stem,
                origin=f"{image} with {mask}",
                decode=functools.partial(_decode, image, mask, read),
                files=(image, mask) if read is _read_png else None,  # SBD's are MATLAB's
            )
            for image, (mask, read) in zip(images, masks, strict=True)
        ),
        ignore_label=IGNORE,
    )


def splits(
    root: str | os.PathLike[str] | None = None, sbd_root: str | os.PathLike[str] | None = None
) -> tuple[str, ...]:
    """The splits whose list is there; `train_aug` only where there are masks for it.

    Args:
        root: See `load`.
        sbd_root: See `load`.

    Raises:
        ValueError: The folder is missing.
    """
    folder = LAYOUT.find(root)
    found = [split for split in SPLITS if _list(folder, split).is_file()]
    more = _sbd(folder, sbd_root)
    has_masks = (folder / _AUGMENTED_MASKS).is_dir() or (more / sbd.MASKS).is_dir()
    if AUGMENTED in found and not has_masks:
        found.remove(AUGMENTED)
    elif AUGMENTED not in found and all((more / name).is_file() for name in sbd.LISTS):
        found.append(AUGMENTED)
    return tuple(found)


def _list(folder: pathlib.Path, split: str) -> pathlib.Path:
    return folder / _LISTS / f"{split}.txt"


def _sbd(folder: pathlib.Path, root: str | os.PathLike[str] | None) -> pathlib.Path:
    if root is None:
        return folder.absolute().parent.parent / sbd.PLACE
    return pathlib.Path(root).expanduser()


def _names(path: pathlib.Path) -> list[str]:
    """The names of a list, one a line; of lines of two paths, image and mask, their stem."""
    names = []
    for number, line in listing.lines(path):
        stems = {pathlib.PurePosixPath(part).stem for part in line.split()}
        if len(stems) != 1:
            raise ValueError(
                f"{path}, line {number} names {' and '.join(sorted(stems))}; accepted is the name "
                "of one image, or the paths of an image and its mask."
            )
        names.append(stems.pop())
    return names


def _augmented_names(folder: pathlib.Path, more: pathlib.Path) -> tuple[list[str], str]:
    """The names of train_aug, and what names them."""
    path = _list(folder, AUGMENTED)
    if path.is_file():
        return _names(path), f"The list {path}"
    lists = [more / name for name in sbd.LISTS]
    if not all(file.is_file() for file in lists):
        raise ValueError(
            f"Split {AUGMENTED!r} has no list: neither {path} nor {lists[0]} with {lists[1].name} "
            f"exists. {sbd.OBTAIN} Without it, there is the split 'train'."
        )
    names = {name for file in (*lists, _list(folder, "train")) for name in _names(file)}
    return sorted(names - set(_names(_list(folder, "val")))), f"VOC's and SBD's lists in {more}"


def _augmented_masks(
    folder: pathlib.Path, more: pathlib.Path, names: list[str]
) -> list[tuple[pathlib.Path, Reader]]:
    """The mask of each name of train_aug, and what reads it."""
    ready = folder / _AUGMENTED_MASKS
    if ready.is_dir():
        return [(ready / f"{name}.png", _read_png) for name in names]
    own = [folder / _MASKS / f"{name}.png" for name in names]
    are_own = [mask.is_file() for mask in own]
    if not all(are_own) and not (more / sbd.MASKS).is_dir():
        rest = [name for name, is_own in zip(names, are_own, strict=True) if not is_own]
        raise ValueError(
            f"Split {AUGMENTED!r} needs masks that VOC itself does not have ({first_few(rest)}): "
            f"neither {ready}, which holds them as PNG files, nor {more / sbd.MASKS}, which holds "
            f"SBD's .mat files, exists. {sbd.OBTAIN} If SBD lies elsewhere, give its folder "
            "`dataset` as option `sbd_root`. Without it, there is the split 'train'."
        )
    return [
        (mask, _read_png) if is_own else (more / sbd.MASKS / f"{name}.mat", _read_mat)
        for name, mask, is_own in zip(names, own, are_own, strict=True)
    ]


def _decode(image: pathlib.Path, mask: pathlib.Path, read: Reader) -> Pair:
    return Pair(image_files.read_image(image), read(mask))


def _read_png(mask: pathlib.Path) -> Bytes:
    indexed = image_files.read_indexed(mask)
    if indexed.palette is not None:
        _check_colours(indexed, mask)
    return _to_labels(indexed.indices, mask)


def _read_mat(mask: pathlib.Path) -> Bytes:
    return _to_labels(sbd.read(mask), mask)


def _to_labels(values: Bytes, mask: pathlib.Path) -> Bytes:
    return mask_values.to_labels(
        values,
        _TABLE,
        mask=mask,
        accepted=f"0 to {len(CLASSES) - 1}, VOC's classes, and {IGNORE} (void)",
        advice=f"Replace the file. {LAYOUT.obtain}",
    )


def _check_colours(indexed: image_files.Indexed, mask: pathlib.Path) -> None:
    """Checks that the indices have VOC's colours."""
    colours = indexed.colours()
    other = {index: found for index, found in colours.items() if found != colour(index)}
    if other:
        shown = first_few(
            f"index {index} is {' '.join(map(str, found))} and not "
            f"{' '.join(map(str, colour(index)))}"
            for index, found in other.items()
        )
        raise ValueError(
            f"{mask} has another palette than VOC's: {shown} (red green blue). A program that "
            "saved it anew may have numbered its colours anew, so that its labels are not to be "
            f"trusted. Replace the file. {LAYOUT.obtain}"
        )
