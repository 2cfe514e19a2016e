"""Matches images and masks by name: every image has a mask, every mask an image."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable, Iterable, Mapping

from tfquantseg.data.segmentation import Example, Pair
from tfquantseg.names import first_few


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
        Example(image.stem, f"{image} with {mask}", functools.partial(decode, image, mask))
        for image, mask in pairs
    )
