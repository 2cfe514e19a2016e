"""Masks in colours become labels, exactly or not at all."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from tfquantseg.data import coloured_masks

LABELS = np.array([[0, 1, 2], [2, 255, 1]], np.uint8)
PALETTE = ((0, 0, 0), (128, 64, 128), (0, 64, 255))
BORDER = (224, 224, 192)
COLOURS = np.zeros((256, 3), np.uint8)
COLOURS[:3], COLOURS[255] = PALETTE, BORDER


def _save(image: Image.Image, path: pathlib.Path) -> pathlib.Path:
    image.save(path)
    return path


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_colour_is_its_label(tmp_path: pathlib.Path, mode: str) -> None:
    # A palette of the picture's own four colours, in an order that is not that of the labels.
    image = Image.fromarray(COLOURS[LABELS]).convert(mode, palette=Image.Palette.ADAPTIVE)
    path = _save(image, tmp_path / "a.png")
    read = coloured_masks.read(path, PALETTE, ignore_colour=BORDER)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, LABELS)


@pytest.mark.parametrize("mode", ["L", "1"])
def test_white_on_black(tmp_path: pathlib.Path, mode: str) -> None:
    white = np.array([[0, 255], [255, 255]], np.uint8)
    path = _save(Image.fromarray(white).convert(mode), tmp_path / "a.png")
    read = coloured_masks.read(path, ((0, 0, 0), (255, 255, 255)))
    np.testing.assert_array_equal(read, [[0, 1], [1, 1]])


def test_colours_of_no_class_are_named_with_their_number(tmp_path: pathlib.Path) -> None:
    path = _save(Image.fromarray(COLOURS[LABELS]), tmp_path / "a.png")
    message = (
        rf"{path} holds colours of no class: 0 64 255 \(2 pixels\), 224 224 192 \(1 pixels\)\. Give"
    )
    with pytest.raises(ValueError, match=message):
        coloured_masks.read(path, PALETTE[:2])


def test_of_many_colours_a_few_are_named(tmp_path: pathlib.Path) -> None:
    shades = np.arange(100, dtype=np.uint8).reshape(10, 10)
    path = _save(Image.fromarray(shades), tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"5 5 5 \(1 pixels\) and 94 more\. .* softened edges"):
        coloured_masks.read(path, ((0, 0, 0), (255, 255, 255)))
