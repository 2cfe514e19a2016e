"""Colours for classes that have none: far apart from each other, the same in every run."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

Colour = tuple[int, int, int]
"""Red, green and blue, 0..255."""

BLACK: Colour = (0, 0, 0)
_LEVELS = (0, 32, 64, 96, 128, 159, 191, 223, 255)  # of each channel
_LEAST_RANGE = 96  # of a colour's channels: without it a colour is a grey, lost on a photograph
_WEIGHTS = (2, 4, 3)  # the eye tells greens best: dist^2 = 2 dR^2 + 4 dG^2 + 3 dB^2


def distinct_colours(count: int) -> tuple[Colour, ...]:
    """Colours of which each is as far as can be from all before it.

    The first is black, for the class that most data sets begin with, the background. The first n
    colours are the same whatever `count` is, so that a class keeps its colour when another is
    added at the end.

    Args:
        count: Number of colours, 1..256.

    Returns:
        `count` different RGB colours.
    """
    candidates = np.array([c for c in itertools.product(_LEVELS, repeat=3) if _is_vivid(c)])[::-1]
    taken: list[Colour] = [BLACK]
    # Far from white and grey too, which are not taken but are what photographs are full of.
    distance = np.min([_distances(candidates, (g, g, g)) for g in (0, 127, 255)], axis=0)
    while len(taken) < count:
        red, green, blue = map(int, candidates[distance.argmax()])
        taken.append((red, green, blue))
        distance = np.minimum(distance, _distances(candidates, taken[-1]))
    return tuple(taken[:count])


def _is_vivid(colour: tuple[int, ...]) -> bool:
    return max(colour) - min(colour) >= _LEAST_RANGE


def _distances(colours: npt.NDArray[np.int64], to: Colour) -> npt.NDArray[np.int64]:
    squares: npt.NDArray[np.int64] = (colours - np.array(to)) ** 2
    return squares @ np.array(_WEIGHTS)
