"""Matches images and masks: every image has a mask, every mask an image, and both one size."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable, Iterable, Mapping

from tfquantseg.data import image_files
from tfquantseg.data.segmentation import Example, Pair, SegmentationData
from tfquantseg.names import first_few

ON_ITS_SIDE = (
    "A camera may have noted in the image (EXIF) to turn it when it is shown, which is not done "
    "here; save it upright, for example with ImageMagick's `mogrify -auto-orient`."
)
"""Why an image may have the height of its mask as its width, and what to do."""


def match(
    images: Mapping[str, pathlib.Path], masks: Mapping[str, pathlib.Path], where: str, advice: str
) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """Pairs of image and mask, in the order of their names.

    Args:
        images: Images by what their names have in common with those of their masks.
        masks: Masks by the same.
        where: The folders, as in "images/ and masks/".
        advice: What to do where they do not match: a sentence, or some.

    Raises:
        ValueError: An image has no mask, or a mask no image; names the first few of both.
    """
    alone, spare = sorted(images.keys() - masks.keys()), sorted(masks.keys() - images.keys())
    partners = []
    if alone:
        names = first_few(images[key].name for key in alone)
        partners.append(f"{len(alone)} of {len(images)} images have no mask ({names})")
    if spare:
        names = first_few(masks[key].name for key in spare)
        partners.append(f"{len(spare)} of {len(masks)} masks have no image ({names})")
    if partners:
        raise ValueError(f"{where} do not match: {', and '.join(partners)}. {advice}")
    return [(images[key], masks[key]) for key in sorted(images)]


def examples(
    pairs: Iterable[tuple[pathlib.Path, pathlib.Path]],
    decode: Callable[[pathlib.Path, pathlib.Path], Pair],
) -> tuple[Example, ...]:
    """Examples of pairs of files; the key of each is its image's name without ending.

    Args:
        pairs: Images and masks.
        decode: Reads an image and its mask.
    """
    return tuple(
        Example(
            image.stem,
            f"{image} with {mask}",
            functools.partial(decode, image, mask),
            files=(image, mask),
        )
        for image, mask in pairs
    )


def check_sizes(data: SegmentationData) -> None:
    """Checks that each image file has the size of its mask file; reads only their headers.

    Raises:
        ValueError: Some have not; names the first few, with their sizes. Or a file cannot be read.
    """
    files = [example.files for example in data.examples if example.files]
    sizes = [(image_files.size_of(image), image_files.size_of(mask)) for image, mask in files]
    differ = [(pair, size) for pair, size in zip(files, sizes, strict=True) if size[0] != size[1]]
    if not differ:
        return
    told = first_few(
        f"{image} is {_shown(of_image)} and {mask} {_shown(of_mask)}"
        for (image, mask), (of_image, of_mask) in differ
    )
    turned = any(of_image == of_mask[::-1] for _, (of_image, of_mask) in differ)
    raise ValueError(
        f"Data set {data.name}, split {data.split}: {len(differ)} of {len(files)} masks have "
        f"another size (height x width) than their images: {told}. Save each mask at the size of "
        "its image, by nearest neighbour: what mixes neighbouring pixels makes other labels."
        + (f" {ON_ITS_SIDE}" if turned else "")
    )


def _shown(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
