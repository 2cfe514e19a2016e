"""Pictures of segmentations: class colours over an image, label maps, sheets of many tiles.

A *label* is a class index, or the ignore label of pixels that belong to no class. A *palette* holds
one RGB colour 0..255 a class. Sizes are height x width, pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Bytes = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

_LINE = 1 / 480  # width of a border's line on either side, of the image's longer side
_GAP = 10  # between tiles, and around all of them
_TEXT = 13  # size of the letters
_ROW = 20  # height of a line of text
_SWATCH = 13  # side of a colour in the legend
_PAPER, _INK, _EDGE = (255, 255, 255), (40, 40, 40), (150, 150, 150)


def overlay(
    image: Bytes,
    label: Bytes,
    palette: Sequence[Colour],
    *,
    ignore_label: int = 255,
    opacity: float = 0.6,
) -> Bytes:
    """Lays the colours of the classes over an image.

    Along the border of two regions either side is drawn in its own full colour, so that a class is
    seen on a ground of its own colour, and its outline is that of the label map to the pixel. The
    line is wider on images of 720 pixels and more. Ignored pixels are left as they are.

    Args:
        image: uint8 [H, W, 3], RGB.
        label: uint8 [H, W].
        palette: One colour a class.
        ignore_label: Label of the pixels that have no class.
        opacity: Share of the colour inside a region, 0..1.

    Returns:
        uint8 [H, W, 3], a new array.

    Raises:
        ValueError: An array has another type or shape, a label has no colour, or the opacity is
            out of range.
    """
    _check_image(image)
    if label.dtype != np.uint8 or label.shape != image.shape[:2]:
        raise ValueError(
            f"The label map is {label.dtype} {list(label.shape)}; accepted is uint8 "
            f"{list(image.shape[:2])}, the height and width of its image."
        )
    if not 0 <= opacity <= 1:
        raise ValueError(f"Opacity {opacity} is not accepted; give a number in 0..1.")
    counted = label != ignore_label
    _check_labels(label[counted], palette)
    colour = _all_colours(palette)[label]
    blended = np.rint((1 - opacity) * image + opacity * colour).astype(np.uint8)
    line = max(1, round(max(label.shape) * _LINE))
    picture = np.where(_near_border(label, line)[..., None], colour, blended)
    return np.where(counted[..., None], picture, image)


def index_image(label: Bytes, palette: Sequence[Colour]) -> Image.Image:
    """Makes a palette image of a label map: its bytes are the labels, its palette the colours.

    Saved as PNG it has one byte a pixel, is read back as labels by
    `numpy.asarray(PIL.Image.open(path))`, and is shown in colour by everything that shows pictures.

    Args:
        label: uint8 [H, W].
        palette: One colour a class.

    Returns:
        An image of mode P.

    Raises:
        ValueError: The label map has another type or shape, or a label has no colour.
    """
    if label.dtype != np.uint8 or label.ndim != 2 or not label.size:
        raise ValueError(
            f"The label map is {label.dtype} {list(label.shape)}; accepted is uint8 [height, width]"
            " of at least one pixel."
        )
    _check_labels(label, palette)
    image = Image.fromarray(label)
    # Of a palette of 16 colours or less, Pillow would pack several labels into one byte of a PNG.
    image.putpalette(_all_colours(palette).tobytes())
    return image


def contact_sheet(
    tiles: Sequence[Bytes],
    captions: Sequence[str],
    *,
    columns: int = 4,
    tile_width: int = 256,
    legend: Iterable[tuple[str, Colour]] = (),
) -> Image.Image:
    """Lays out pictures in rows, each with a line of text below it.

    A larger picture is scaled down to fit a square of `tile_width`; a smaller one is enlarged by
    the largest whole factor that fits, without smoothing. Rows are as high as their highest tile.

    Args:
        tiles: At least one, each uint8 [H, W, 3], of any size.
        captions: One a tile; what is too long for it is cut in the middle.
        columns: Tiles a row.
        tile_width: Pixels.
        legend: Names of classes with their colours, shown below the tiles.

    Returns:
        An RGB image.

    Raises:
        ValueError: No tile, a tile of another type or shape, another number of captions, or a
            number out of range.
    """
    if not tiles or len(tiles) != len(captions):
        raise ValueError(
            f"Received {len(tiles)} tiles and {len(captions)} captions; give at least one tile, "
            "and one caption to each."
        )
    if columns < 1 or tile_width < 16:
        raise ValueError(
            f"columns={columns}, tile_width={tile_width} are not accepted; give at least 1 column "
            "and tiles of at least 16 pixels."
        )
    for tile in tiles:
        _check_image(tile)
    columns = min(columns, len(tiles))
    pictures = [_fitted(tile, tile_width) for tile in tiles]
    rows = [range(i, min(i + columns, len(tiles))) for i in range(0, len(tiles), columns)]
    heights = [max(pictures[i].height for i in row) for row in rows]
    width = columns * (tile_width + _GAP) + _GAP
    entries = list(_places(legend, width))
    below = entries[-1][1] + _ROW + _GAP if entries else 0
    height = sum(height + _ROW + _GAP for height in heights) + _GAP
    sheet = Image.new("RGB", (width, height + below), _PAPER)
    draw = ImageDraw.Draw(sheet)
    top = _GAP
    for row, row_height in zip(rows, heights, strict=True):
        for column, i in enumerate(row):
            left = _GAP + column * (tile_width + _GAP)
            picture = pictures[i]
            # Each stands on its caption, whatever its shape and its neighbours'.
            place = (left + (tile_width - picture.width) // 2, top + row_height - picture.height)
            sheet.paste(picture, place)
            text = _cut(captions[i], tile_width)
            middle = (left + tile_width / 2, top + row_height + _ROW / 2)
            draw.text(middle, text, _INK, _font(), anchor="mm")
        top += row_height + _ROW + _GAP
    for left, down, name, colour in entries:
        y = height + down + _ROW // 2
        box = (left, y - _SWATCH // 2, left + _SWATCH, y + _SWATCH // 2 + 1)
        draw.rectangle(box, colour, _EDGE)
        draw.text((left + _SWATCH + 5, y), name, _INK, _font(), anchor="lm")
    return sheet


def reduced(picture: Bytes, longest: int) -> Bytes:
    """Scales a picture down so that its longer side is at most `longest` pixels; others stay.

    Args:
        picture: uint8 [H, W, 3].
        longest: From 1.

    Returns:
        uint8 [h, w, 3].
    """
    _check_image(picture)
    height, width = picture.shape[:2]
    larger = max(height, width)
    if larger <= longest:
        return picture
    size = max(1, round(width * longest / larger)), max(1, round(height * longest / larger))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def _all_colours(palette: Sequence[Colour]) -> Bytes:
    """A colour for every byte, black for those that are no class."""
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(palette)] = palette
    return colours


def _near_border(label: Bytes, distance: int) -> npt.NDArray[np.bool_]:
    """Where a pixel at most `distance` away in its row or column has another label."""
    near = np.zeros(label.shape, bool)
    for step in range(1, distance + 1):
        for axis in (0, 1):
            rolled = np.moveaxis(label, axis, 0)
            differs = rolled[step:] != rolled[:-step]
            side = np.moveaxis(near, axis, 0)
            side[step:] |= differs
            side[: len(side) - step] |= differs
    return near


def _fitted(tile: Bytes, width: int) -> Image.Image:
    image = Image.fromarray(reduced(tile, width))
    factor = width // max(image.size)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _places(
    legend: Iterable[tuple[str, Colour]], width: int
) -> Iterable[tuple[int, int, str, Colour]]:
    """Left side, height below the tiles, name and colour of each class, in lines that wrap."""
    left, down = _GAP, 0
    for name, colour in legend:
        shown = _cut(name, width - 2 * _GAP - _SWATCH - 5)
        right = left + _SWATCH + 5 + round(_font().getlength(shown))
        if right > width - _GAP and left > _GAP:
            right, left, down = right - left + _GAP, _GAP, down + _ROW
        yield left, down, shown, colour
        left = right + 16


def _cut(text: str, width: int) -> str:
    """The text, its middle left out where it is wider than `width` pixels."""
    # A name of a file may hold bytes that are no character.
    text = text.encode(errors="replace").decode()
    if _font().getlength(text) <= width:
        return text
    kept = len(text) - 1
    while kept and _font().getlength(_without_middle(text, kept)) > width:
        kept -= 1
    return _without_middle(text, kept)


def _without_middle(text: str, kept: int) -> str:
    return f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"


def _font() -> Any:
    return ImageFont.load_default(_TEXT)


def _check_image(image: Bytes) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(
            f"The picture is {image.dtype} {list(image.shape)}; accepted is uint8 "
            "[height, width, 3] of at least one pixel."
        )


def _check_labels(labels: Bytes, palette: Sequence[Colour]) -> None:
    if len(palette) > 256:
        raise ValueError(
            f"The palette has {len(palette)} colours; labels are bytes, so give at most 256."
        )
    largest = int(labels.max(initial=0))
    if largest >= len(palette):
        raise ValueError(
            f"The label map holds label {largest} and the palette {len(palette)} colours; give "
            f"one colour to each class, at least {largest + 1}."
        )
