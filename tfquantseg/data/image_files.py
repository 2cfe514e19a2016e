"""Decodes image and label files, or says which file is at fault.

A file either decodes to exactly what its bytes say or raises: nothing is skipped, repaired or
guessed. PNG checksums are verified, because Pillow decodes damaged pixels without a word.
"""

from __future__ import annotations

import io
import pathlib
import struct
import zlib
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tfquantseg.data.palette import BLACK, Colour
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


def read_image(path: pathlib.Path, *, upright: bool = False) -> Bytes:
    """Decodes a photograph.

    RGB and palette files are taken as they are. A grey file has its channel repeated three times,
    as photo collections hold a few; so has one in black and white (1 bit), whose white is 255. An
    alpha channel is dropped if every pixel is opaque.

    Args:
        path: A PNG or JPEG file, at most 8 bits a channel.
        upright: Turn the pixels as the camera noted in the file (EXIF), which viewers do. Without
            it they are returned as they are stored: label maps are drawn on the stored pixels.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        ValueError: The file is missing or damaged, is of another kind, holds several pictures, or
            has transparent pixels, whose colour depends on a background that the file does not
            name.
    """
    image = _decode(path)
    if upright:
        image = ImageOps.exif_transpose(image)
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        lowest, _ = image.getchannel("A").getextrema()
        if lowest != 255:
            raise ValueError(
                f"{path} has transparent pixels (alpha down to {lowest} of 255); accepted are "
                "opaque images. Flatten it onto a background of your choice."
            )
    elif image.mode not in ("1", "L", "P", "RGB"):
        raise ValueError(
            f"{path} has pixels of mode {image.mode!r}; accepted are RGB, grey and palette images "
            "of at most 8 bits a channel. Convert it."
        )
    return np.asarray(image.convert("RGB"))


class Indexed(NamedTuple):
    """A decoded file of one byte a pixel.

    Attributes:
        indices: uint8 [H, W], the bytes of the file.
        palette: RGB colours 0..255 of the indices, as many as the file gives; None if it is grey.
    """

    indices: Bytes
    palette: tuple[Colour, ...] | None

    def colours(self) -> dict[int, Colour]:
        """The colour of each index that occurs; black where the palette is too short for it."""
        palette = self.palette or ()
        occurring = np.flatnonzero(np.bincount(self.indices.reshape(-1), minlength=256)).tolist()
        return {index: palette[index] if index < len(palette) else BLACK for index in occurring}


def read_labels(path: pathlib.Path) -> Bytes:
    """Decodes a label map: one byte a pixel, grey value or palette index.

    Args:
        path: A PNG file of mode L or P. (JPEG is refused: its compression changes labels.)

    Returns:
        uint8 [H, W], the bytes of the file.

    Raises:
        ValueError: The file is missing or damaged, or is of another kind.
    """
    return read_indexed(path).indices


def read_indexed(path: pathlib.Path) -> Indexed:
    """Decodes a label map as `read_labels` does, and its palette where it has one."""
    image = _decode(path)
    if image.mode not in ("L", "P") or image.format == "JPEG":
        # Of what JPEG has changed, nothing can be made.
        hint = (
            ""
            if image.format == "JPEG"
            else " The command `data index-masks` makes such files of masks in colours or in black "
            "and white."
        )
        raise ValueError(
            f"{path} is a {image.format} of mode {image.mode!r}; accepted as a label map is a "
            "lossless file with one byte a pixel (PNG of mode L or P) that holds the class index."
            f"{hint}"
        )
    if image.mode == "L":
        return Indexed(np.asarray(image), None)
    red, green, blue = np.array(image.getpalette(), np.uint8).reshape(-1, 3).T.tolist()
    return Indexed(np.asarray(image), tuple(zip(red, green, blue, strict=True)))


def size_of(path: pathlib.Path) -> tuple[int, int]:
    """Height and width of an image or label file, as its header has them; no pixel is decoded.

    Raises:
        ValueError: The file is missing, or has no such header.
    """
    try:
        with path.open("rb") as file:
            try:
                with Image.open(file) as image:
                    return image.height, image.width
            except _DAMAGE as error:
                raise _damaged(path, path.stat().st_size, error) from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error


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
        stored = [str(tile.args) for tile in image.tile]
        # Beside a photograph, cameras put what they recorded with it into one file (MPO).
        pictures = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        image.load()
    except _DAMAGE as error:
        raise _damaged(path, len(data), error) from error
    # Pillow takes the upper 8 of 16 bits without a word.
    if image.mode in ("RGB", "RGBA") and any(";16" in pixels for pixels in stored):
        raise ValueError(
            f"{path} has 16 bits a channel; accepted are images of 8 bits a channel. Convert it."
        )
    if pictures > 1:
        raise ValueError(f"{path} holds {pictures} pictures; accepted is one. Save it by itself.")
    return image


def _damaged(path: pathlib.Path, size: int, error: Exception) -> ValueError:
    """The error of a file of so many bytes that Pillow cannot decode."""
    unknown = isinstance(error, UnidentifiedImageError)  # Its message names an object of Python's.
    why = "it begins like no image of a known format" if unknown else error
    return ValueError(f"{path} ({size} bytes) cannot be decoded: {why}. Replace the file.")
