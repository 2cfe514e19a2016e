"""Turns masks whose pixels show their class by colour into labels.

Drawing programs and many data sets keep masks as pictures: road is (128, 64, 128), or the object is
white on black. A label map holds 0, 1, 2 instead. The colours of classes.txt say which is which.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import numpy as np

from tfquantseg.data import image_files
from tfquantseg.data.palette import Colour
from tfquantseg.data.segmentation import Bytes
from tfquantseg.names import first_few

_ADVICE = (
    "Give their classes these colours in classes.txt, or name one colour as that of ignored "
    "pixels. Many colours that lie near those of classes come of softened edges or JPEG; save the "
    "mask without them."
)


def read(
    path: pathlib.Path,
    palette: Sequence[Colour],
    *,
    ignore_colour: Colour | None = None,
    ignore_label: int = 255,
    advice: str = _ADVICE,
) -> Bytes:
    """Decodes a mask in colours, in grey, or in black and white.

    A pixel gets the label whose colour it has exactly. No nearest colour is taken: where softened
    edges or JPEG's compression made other colours, which class was meant can only be guessed.

    Args:
        path: A PNG file.
        palette: One colour a class, all different.
        ignore_colour: Colour of the pixels that get `ignore_label`.
        ignore_label: See above.
        advice: What to do about other colours: a sentence, or some.

    Returns:
        uint8 [H, W].

    Raises:
        ValueError: The file is missing or damaged, or a pixel has another colour.
    """
    pixels = _packed(image_files.read_image(path))
    colours, place, counts = np.unique(pixels, return_inverse=True, return_counts=True)
    labels = {_key(colour): label for label, colour in enumerate(palette)}
    if ignore_colour is not None:
        labels[_key(ignore_colour)] = ignore_label
    unknown = [
        f"{_shown(colour)} ({count} pixels)"
        for colour, count in zip(colours.tolist(), counts.tolist(), strict=True)
        if colour not in labels
    ]
    if unknown:
        raise ValueError(f"{path} holds colours of no class: {first_few(unknown)}. {advice}")
    lookup = np.array([labels[colour] for colour in colours.tolist()], np.uint8)
    return lookup[place].reshape(pixels.shape)


def _packed(image: Bytes) -> np.ndarray:
    """One number a pixel, [H, W]: 65536 red + 256 green + blue."""
    return image.astype(np.int32) @ np.array([65536, 256, 1], np.int32)


def _key(colour: Colour) -> int:
    red, green, blue = colour
    return 65536 * red + 256 * green + blue


def _shown(key: int) -> str:
    return f"{key >> 16} {key >> 8 & 255} {key & 255}"
