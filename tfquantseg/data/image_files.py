"""Decodes image and label files, or says which file is at fault.

A file either decodes to exactly what its bytes say or raises: nothing is skipped, repaired or
guessed. PNG checksums are verified, because Pillow decodes damaged pixels without a word.
"""

from __future__ import annotations

import io
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, UnidentifiedImageError

from tfquantseg.data.segmentation import Bytes

# What Pillow raises on damaged bytes, depending on where the damage is.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def read_image(path: pathlib.Path) -> Bytes:
    """Decodes a photograph.

    RGB and palette files are taken as they are. A grey file has its channel repeated three times,
    as photo collections hold a few. An alpha channel is dropped if every pixel is opaque.
    An EXIF orientation is not applied: label maps are drawn on the stored pixels.

    Args:
        path: A PNG or JPEG file, 8 bits a channel.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        ValueError: The file is missing or damaged, is of another kind, or has transparent pixels,
            whose colour depends on a background that the file does not name.
    """
    image = _decode(path)
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        lowest, _ = image.getchannel("A").getextrema()
        if lowest != 255:
            raise ValueError(
                f"{path} has transparent pixels (alpha down to {lowest} of 255); accepted are "
                "opaque images. Flatten it onto a background of your choice."
            )
    elif image.mode not in ("L", "P", "RGB"):
        raise ValueError(
            f"{path} has pixels of mode {image.mode!r}; accepted are RGB, grey and palette images "
            "of 8 bits a channel. Convert it."
        )
    return np.asarray(image.convert("RGB"))


def read_labels(path: pathlib.Path) -> Bytes:
    """Decodes a label map: one byte a pixel, grey value or palette index.

    Args:
        path: A PNG file of mode L or P. (JPEG is refused: its compression changes labels.)

    Returns:
        uint8 [H, W], the bytes of the file.

    Raises:
        ValueError: The file is missing or damaged, or is of another kind.
    """
    image = _decode(path)
    if image.mode not in ("L", "P") or image.format == "JPEG":
        raise ValueError(
            f"{path} is a {image.format} of mode {image.mode!r}; accepted as a label map is a "
            "lossless file with one byte a pixel (PNG of mode L or P) that holds the class index."
        )
    return np.asarray(image)


def _decode(path: pathlib.Path) -> Image.Image:
    """Decodes every pixel of `path`, checksums verified."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.verify()
        image = Image.open(io.BytesIO(data))
        image.load()
    except UnidentifiedImageError as error:
        raise ValueError(
            f"{path} ({len(data)} bytes) cannot be decoded: it begins like no image of a known "
            "format. Replace the file."
        ) from error
    except _DAMAGE as error:
        raise ValueError(
            f"{path} ({len(data)} bytes) cannot be decoded: {error}. Replace the file."
        ) from error
    return image
