"""The folder that holds predictions.

    overlays/NAME.png    the image with the colours of its classes laid over it
    classes/NAME.png     the class of each pixel, as index of a palette of the classes' colours
    contact_sheet.png    the first images, each beside its ground truth, if it has one, and overlay
    predictions.json     by image: its files, its size, each class's share of its pixels

predictions.json is written last: a folder without it is of a run that was interrupted.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tfquantseg import pictures
from tfquantseg.data.segmentation import Bytes
from tfquantseg.training import whole

OVERLAYS = "overlays"
CLASSES = "classes"
SHEET = "contact_sheet.png"
JSON = "predictions.json"
MOST_ON_SHEET = 24  # images

_SHEET_WIDTH = 1152  # pixels, all tiles of a row together
_SHOWN = 5  # names in a message


class PredictionFolder:
    """Writes predictions, each when it is there.

    Args:
        path: A folder, made with its parents if it does not exist; it must be empty.
        classes: Names of the classes.
        palette: One colour a class.
        total: Number of images that are to come.
        truth: Whether each comes with its ground truth.
        ignore_label: Label of the pixels of a ground truth that have no class.

    Raises:
        ValueError: `path` is a file, or a folder that is not empty.
        OSError: It cannot be made or written.
    """

    def __init__(
        self,
        path: Path,
        classes: Sequence[str],
        palette: Sequence[pictures.Colour],
        *,
        total: int,
        truth: bool,
        ignore_label: int = 255,
    ) -> None:
        """Makes the folder."""
        _make(path)
        self.path = path
        self._classes = classes
        self._palette = palette
        self._ignore_label = ignore_label
        # A row of the sheet holds all tiles of two images.
        self._columns = (3 if truth else 2) * min(total, 2)
        self._tiles: list[Bytes] = []
        self._captions: list[str] = []
        self._images: list[dict[str, Any]] = []
        self._failed: list[dict[str, str]] = []

    @property
    def written(self) -> int:
        """Number of images whose prediction is in the folder."""
        return len(self._images)

    @property
    def failed(self) -> list[dict[str, str]]:
        """Where an image comes from and why there is no prediction of it, for each such image."""
        return list(self._failed)

    def add(
        self, name: str, origin: str, image: Bytes, label: Bytes, truth: Bytes | None = None
    ) -> None:
        """Writes one prediction.

        Args:
            name: What its files are called, without ending.
            origin: Where the image comes from, for predictions.json.
            image: uint8 [H, W, 3].
            label: Its prediction, uint8 [H, W].
            truth: Its ground truth, uint8 [H, W], if there is one.

        Raises:
            OSError: The disk is full or the folder cannot be written; names the file.
        """
        laid = pictures.overlay(image, label, self._palette)
        overlay, classes = f"{OVERLAYS}/{name}.png", f"{CLASSES}/{name}.png"
        self._write(overlay, Image.fromarray(laid))
        self._write(classes, pictures.index_image(label, self._palette))
        pixels = np.bincount(label.reshape(-1), minlength=len(self._classes))
        shares = (pixels / label.size).tolist()
        self._images.append(
            {
                "image": origin,
                "overlay": overlay,
                "classes": classes,
                "height": label.shape[0],
                "width": label.shape[1],
                "share": dict(zip(self._classes, shares, strict=True)),
            }
        )
        if len(self._images) > MOST_ON_SHEET:
            return
        self._put_on_sheet(name, image)
        if truth is not None:
            laid_truth = pictures.overlay(
                image, truth, self._palette, ignore_label=self._ignore_label
            )
            self._put_on_sheet("ground truth", laid_truth)
        self._put_on_sheet("prediction", laid)

    def fail(self, origin: str, reason: str) -> None:
        """Notes that there is no prediction of an image.

        Args:
            origin: Where the image comes from.
            reason: Why.
        """
        self._failed.append({"image": origin, "error": reason})

    def finish(self, about: dict[str, Any]) -> None:
        """Writes the contact sheet, if there is any prediction, and predictions.json.

        Args:
            about: What predictions.json says at its top: of what model, of what images.

        Raises:
            OSError: The disk is full or the folder cannot be written; names the file.
        """
        if self._tiles:
            sheet = pictures.contact_sheet(
                self._tiles,
                self._captions,
                columns=self._columns,
                tile_width=self._tile_width,
                legend=zip(self._classes, self._palette, strict=True),
            )
            self._write(SHEET, sheet)
        content = {
            **about,
            "classes": list(self._classes),
            "palette": [list(colour) for colour in self._palette],
            "images": self._images,
            "failed": self._failed,
        }
        whole.write_whole(self.path / JSON, json.dumps(content, indent=2).encode() + b"\n")

    @property
    def _tile_width(self) -> int:
        return _SHEET_WIDTH // self._columns

    def _put_on_sheet(self, caption: str, picture: Bytes) -> None:
        # Scaled down at once: a photograph may take more memory than all tiles.
        self._tiles.append(pictures.reduced(picture, self._tile_width))
        self._captions.append(caption)

    def _write(self, name: str, picture: Image.Image) -> None:
        encoded = io.BytesIO()
        picture.save(encoded, "PNG", optimize=name == SHEET)
        whole.write_whole(self.path / name, encoded.getvalue())


def check_free(path: Path) -> None:
    """Checks that a folder of predictions can be made, before what takes long.

    Raises:
        ValueError: `path` is a file, or a folder that is not empty.
    """
    if path.is_dir():
        there = sorted(inside.name for inside in path.iterdir())
        if there:
            more = f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else ""
            raise ValueError(
                f"{path} is not empty: it holds {', '.join(there[:_SHOWN])}{more}. Nothing is "
                "written over; give another folder as --out."
            )
    elif path.exists():
        raise ValueError(f"{path} is a file; give a folder, or a new name, as --out.")


def _make(path: Path) -> None:
    check_free(path)
    for folder in (OVERLAYS, CLASSES):
        (path / folder).mkdir(parents=True)
