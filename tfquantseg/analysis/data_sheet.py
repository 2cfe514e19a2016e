"""A sheet of a data set's images with their masks laid over them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tfquantseg import pictures
from tfquantseg.data import Pair, SegmentationData

_TILES = 8  # of each split
_SIDE = 256  # longest side of a tile, pixels


class DataSheet:
    """Collects examples, evenly spread over each split, while somebody reads them all."""

    def __init__(self) -> None:
        """Makes an empty sheet."""
        self._tiles: list[pictures.Bytes] = []
        self._captions: list[str] = []
        self._legend: list[tuple[str, pictures.Colour]] = []

    def __len__(self) -> int:
        """Number of examples on the sheet."""
        return len(self._tiles)

    def add(self, data: SegmentationData, index: int, pair: Pair | None) -> None:
        """Receives an example, and keeps it if it is one of the evenly spread ones.

        Args:
            data: The split that it is of.
            index: Its place in the split.
            pair: What it holds; None, where it cannot be read, leaves its place empty.
        """
        chosen = np.linspace(0, len(data) - 1, _TILES).round()
        if pair is None or index not in chosen:
            return
        image, label = _reduced(pair)
        self._tiles.append(
            pictures.overlay(image, label, data.palette, ignore_label=data.ignore_label)
        )
        self._captions.append(f"{data.split} {data.key(index)}")
        self._legend = list(zip(data.classes, data.palette, strict=True))

    def image(self) -> Image.Image:
        """The sheet: tiles with their keys, and the classes' names and colours below.

        Raises:
            ValueError: No example has been received that could be read.
        """
        return pictures.contact_sheet(
            self._tiles, self._captions, tile_width=_SIDE, legend=self._legend
        )


def _reduced(pair: Pair) -> Pair:
    """The pair scaled down to a tile's size, which is all that the sheet shows of it."""
    height, width = pair.label.shape
    factor = _SIDE / max(height, width)
    if factor >= 1:
        return pair
    to = (max(1, round(width * factor)), max(1, round(height * factor)))
    return Pair(
        np.asarray(Image.fromarray(pair.image).resize(to, Image.Resampling.LANCZOS)),
        np.asarray(Image.fromarray(pair.label).resize(to, Image.Resampling.NEAREST)),
    )
