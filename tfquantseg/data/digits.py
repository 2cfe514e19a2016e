"""Handwritten digits on photographs: a small, real segmentation task that needs no download.

scikit-learn ships 1,797 real handwritten digits (8 x 8, 17 grey levels) and two real photographs
(china.jpg, flower.jpg). A *scene* is a piece of a photograph on which several digits are painted,
each scaled, turned, slanted and coloured, with a dark outline. Class 0 is the photograph, outlines
included; class 1 + d is the digit d.

Splits share neither a digit nor a part of a photograph: each owns a block of the digits, whose
order in scikit-learn goes writer by writer, and a vertical band of both photographs. Which scene
is drawn depends on (seed, split, index) alone.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tfquantseg.data.segmentation import Bytes, Example, Pair, SegmentationData
from tfquantseg.names import unknown_name

Floats = npt.NDArray[np.floating[Any]]

CLASSES = ("background", *"0123456789")
PALETTE = (
    (0, 0, 0),
    (230, 25, 75),
    (245, 130, 48),
    (255, 225, 25),
    (170, 255, 60),
    (60, 180, 75),
    (70, 240, 240),
    (0, 130, 200),
    (145, 80, 220),
    (240, 50, 230),
    (170, 110, 40),
)

_HEIGHT = (28, 36)  # of the 8 x 8 grid of a digit in a scene, pixels
_TURN = 0.1  # largest rotation and slant of a digit, radians
_INK = 0.38  # share of full ink in the middle of a stroke's edge
_OUTLINE = 0.03  # share of full ink at which the dark outline begins
_EDGE = 1.5  # width of a stroke's soft edge, pixels
_CENTRE = np.array([5, 5])  # of a digit with its rim, pixels of the digit
_DIGITS = 8  # that seek a place, for each 96 x 96 pixels of a scene
_PLACES = 6  # that each digit tries


@dataclasses.dataclass(frozen=True)
class _Material:
    """What one split may use: its share of the digits and of the photographs."""

    number: int  # enters the random key
    scenes: int
    digits: tuple[float, float]  # share of the digits, first and last
    columns: tuple[float, float]  # share of a photograph's width, left and right


_SPLITS = {
    "train": _Material(0, 2000, (0.0, 0.6), (0.0, 0.54)),
    "val": _Material(1, 200, (0.6, 0.8), (0.54, 0.77)),
    "test": _Material(2, 200, (0.8, 1.0), (0.77, 1.0)),
}


def load(
    split: str, size: tuple[int, int] = (96, 96), scenes: int | None = None, seed: int = 0
) -> SegmentationData:
    """Loads scenes of handwritten digits on photographs.

    Scene i is the same whatever the number of scenes. A scene is drawn when it is read.

    Args:
        split: `"train"`, `"val"` or `"test"`.
        size: Height and width of a scene, pixels, at least 48 each.
        scenes: Number of scenes; by default 2,000 for train, 200 for val and test.
        seed: Another seed draws other scenes from the same digits and photographs.

    Raises:
        ValueError: An unknown split, a size below 48, no scene, a negative seed, or a number that
            is no integer.
    """
    if split not in _SPLITS:
        raise unknown_name("split of data set 'digits'", split, _SPLITS)
    sides = list(size) if isinstance(size, Sequence) else []
    if len(sides) != 2 or not all(_is_integer(side, 48) for side in sides):
        raise ValueError(f"Size {size!r} is not accepted; give (height, width), integers from 48.")
    if not _is_integer(seed, 0):
        raise ValueError(f"Seed {seed!r} is not accepted; give an integer from 0.")
    count = _SPLITS[split].scenes if scenes is None else scenes
    if not _is_integer(count, 1):
        raise ValueError(f"Scenes {count!r} is not accepted; give an integer from 1.")
    return SegmentationData(
        name="digits",
        split=split,
        classes=CLASSES,
        palette=PALETTE,
        examples=tuple(
            Example(
                key=f"{split}-{index:05d}",
                origin=f"digits {split} scene {index}",
                decode=functools.partial(_draw, split, (size[0], size[1]), seed, index),
            )
            for index in range(count)
        ),
        threads=1,  # drawn in Python, which two threads make slower: docs/results/data.md
    )


def splits() -> tuple[str, ...]:
    """All splits."""
    return tuple(_SPLITS)


def _is_integer(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _draw(split: str, size: tuple[int, int], seed: int, index: int) -> Pair:
    """Draws one scene."""
    key = np.random.SeedSequence((seed, _SPLITS[split].number, index))
    rng = np.random.Generator(np.random.Philox(key))
    photos, glyphs, numerals = _material(split)
    piece = _background(photos[rng.integers(len(photos))], size, rng)
    # Colours first: arithmetic over three neighbours at a time is slow.
    image = np.ascontiguousarray(piece.transpose(2, 0, 1), np.float32)
    label = np.zeros(size, np.uint8)
    taken = np.zeros(size, bool)
    for _ in range(max(round(_DIGITS * size[0] * size[1] / 96**2), 1)):
        which = rng.integers(len(glyphs))
        levels, covered, slope = _render(glyphs[which], rng)
        place = _free_place(taken, covered, rng)
        if place is None:
            continue
        ink = levels.astype(np.float32) / 255
        paint = _clipped((ink - _INK) * slope + 0.5)
        outline = _clipped((ink - _OUTLINE) * slope)
        taken[place] |= covered
        pixels = image[:, *place]
        pixels *= 1 - 0.8 * outline
        pixels += paint * (_light_colour(rng)[:, None, None] - pixels)
        label[place][paint >= 0.5] = 1 + numerals[which]
    return Pair(np.stack([*np.rint(image).astype(np.uint8)], axis=-1), label)


@functools.cache
def _material(split: str) -> tuple[list[Image.Image], list[Image.Image], Bytes]:
    """The photographs, digits (10 x 10, with a rim of no ink) and numerals of one split."""
    # Imported here since it takes a second, which readers of other data need not wait for.
    from sklearn import datasets

    share = _SPLITS[split]
    photos = []
    for photo in datasets.load_sample_images().images:
        left, right = (round(part * photo.shape[1]) for part in share.columns)
        photos.append(Image.fromarray(np.ascontiguousarray(photo[:, left:right])))
    inks, numerals = datasets.load_digits(return_X_y=True)
    first, last = (round(part * len(inks)) for part in share.digits)
    rimmed = np.pad(inks[first:last].reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    glyphs = [Image.fromarray(np.rint(ink * (255 / 16)).astype(np.uint8)) for ink in rimmed]
    return photos, glyphs, numerals[first:last].astype(np.uint8)


def _background(photo: Image.Image, size: tuple[int, int], rng: np.random.Generator) -> Bytes:
    """A piece of `photo`, mirrored or not, scaled to `size` by at most 1.5 downwards."""
    height, width = size
    scale = min(photo.height / height, photo.width / width, 1.5) * rng.uniform(0.5, 1.0)
    left = rng.uniform(0, photo.width - width * scale)
    top = rng.uniform(0, photo.height - height * scale)
    box = (left, top, left + width * scale, top + height * scale)
    piece = np.asarray(photo.resize((width, height), Image.Resampling.BILINEAR, box))
    return piece[:, ::-1] if rng.integers(2) else piece


def _render(
    glyph: Image.Image, rng: np.random.Generator
) -> tuple[Bytes, npt.NDArray[np.bool_], float]:
    """Scales, turns and slants a digit.

    Returns:
        The grey level of each pixel, uint8 [h, w], 255 for full ink; which of them have any
        outline, trimmed to these both; and by how much an edge's paint rises from an ink of 0 to
        one of 1.
    """
    size, stretched, *angles = rng.random(4).tolist()
    cell = _between(*_HEIGHT, size) / 8  # pixels of the scene a pixel of the digit
    stretch = _between(0.85, 1.1, stretched)
    turn, slant = (_between(-_TURN, _TURN, angle) for angle in angles)
    side = math.ceil(11 * cell)
    cos, sin = np.cos(turn), np.sin(turn)
    # From a pixel of the scene to one of the digit, both measured from their centres.
    matrix = np.array([[1 / stretch, slant], [0, 1]]) @ np.array([[cos, sin], [-sin, cos]]) / cell
    column, row = (_CENTRE - matrix @ np.array([side / 2, side / 2])).tolist()
    to_column, to_row = matrix.tolist()
    # No ink lies right of this: half a pixel of the digit beyond its last column, and leaning.
    *_, last, _ = glyph.getbbox() or (0, 0, *glyph.size)
    reach = stretch * cos * (last - 4.5) + 4.5 * abs(stretch * slant * cos + sin)
    width = min(math.ceil(side / 2 + cell * reach), side)
    turned = glyph.transform(
        (width, side),
        Image.Transform.AFFINE,
        (*to_column, column, *to_row, row),
        Image.Resampling.BICUBIC,
    )
    levels = np.asarray(turned)
    covered = levels > int(255 * _OUTLINE)  # an integer, that levels are not made floats for it
    ravelled, columns = covered.tobytes(), np.logical_or.reduce(covered).tobytes()
    trim = np.s_[
        ravelled.find(1) // width : ravelled.rfind(1) // width + 1,
        columns.find(1) : columns.rfind(1) + 1,
    ]
    # Ink rises from none to full within about 1.6 pixels of a digit.
    return levels[trim], covered[trim], 1.6 * cell / _EDGE


def _clipped(x: Floats) -> Floats:
    return np.minimum(np.maximum(x, 0), 1)  # half the time of np.clip, at a digit's size


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share


def _free_place(
    taken: npt.NDArray[np.bool_], shape: npt.NDArray[np.bool_], rng: np.random.Generator
) -> tuple[slice, slice] | None:
    """A random place in `taken` where `shape` touches nothing; None if none was found."""
    height, width = shape.shape
    if height > taken.shape[0] or width > taken.shape[1]:
        return None  # A wide, slanted digit in the smallest scenes.
    # As Python's integers, with which slices are made sooner.
    rows = rng.integers(taken.shape[0] - height + 1, size=_PLACES).tolist()
    columns = rng.integers(taken.shape[1] - width + 1, size=_PLACES).tolist()
    for top, left in zip(rows, columns, strict=True):
        place = np.s_[top : top + height, left : left + width]
        if b"\1" not in (taken[place] & shape).tobytes():
            return place
    return None


def _light_colour(rng: np.random.Generator) -> Floats:
    """A light RGB colour: beside its dark outline it is seen on every photograph."""
    colour = rng.uniform(120, 255, 3).astype(np.float32)
    colour[rng.integers(3)] = 255
    return colour
