"""Integers of 24 bits in three bytes each: what a file keeps of values on a grid, bit for bit.

A master weight is ``n * step`` with ``|n| <= 2**23 - 1`` (Eq 7), and float32 spends four bytes on
it. Two's complement of 24 bits has one pattern more than the grid has integers, -2**23; it stands
for the zero that float32 writes with a minus sign, so that every bit comes back.
"""

import numpy as np

from tfquantseg.numerics.grids import Uniform, delta

BYTES = 3
_LEAST, _MOST = -(2**23), 2**23 - 1
_MINUS_ZERO = _LEAST


def pack24(integers: np.ndarray) -> np.ndarray:
    """Returns integers as three bytes each, two's complement, the lowest byte first.

    Args:
        integers: of any integer type and shape [...], from -2**23 to 2**23 - 1.

    Returns:
        uint8 [..., 3].

    Raises:
        ValueError: the array holds no integers, or one beyond 24 bits.
    """
    if not np.issubdtype(integers.dtype, np.integer):
        raise ValueError(f"pack24 takes an array of integers, received {integers.dtype}.")
    low, high = int(integers.min(initial=0)), int(integers.max(initial=0))
    if low < _LEAST or high > _MOST:
        raise ValueError(
            f"24 bits hold integers from {_LEAST} to {_MOST}, received {low} to {high}."
        )
    words = np.asarray(integers, "<i4", order="C")
    return words[..., np.newaxis].view(np.uint8)[..., :BYTES].copy()


def unpack24(packed: np.ndarray) -> np.ndarray:
    """Returns the integers that `pack24` packed.

    Args:
        packed: uint8 [..., 3].

    Returns:
        int32 [...].

    Raises:
        ValueError: another type or last side.
    """
    if packed.dtype != np.uint8 or packed.ndim == 0 or packed.shape[-1] != BYTES:
        raise ValueError(
            f"unpack24 takes uint8 [..., {BYTES}], received {packed.dtype} {list(packed.shape)}."
        )
    words = np.zeros((*packed.shape[:-1], 4), np.uint8)
    words[..., 1:] = packed  # in the upper bytes, so that the shift extends the sign
    return np.asarray(words.view("<i4")[..., 0] >> 8, np.int32)


def pack(values: np.ndarray, grid: Uniform) -> np.ndarray | None:
    """Returns values on a grid as three bytes each, None if any does not lie on it.

    Args:
        values: float32 [...].
        grid: the grid, of at most 24 bits.

    Returns:
        uint8 [..., 3], from which `unpack` makes the same bits; None where that can't be: of
        values that are off the grid, beyond its limit or not finite.
    """
    if values.dtype != np.float32:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        steps = values / _step(grid, values.shape)  # exact: steps are powers of two
    if not np.all((steps == np.rint(steps)) & (np.abs(steps) <= _MOST)):
        return None
    integers = steps.astype(np.int32)
    return pack24(np.where((integers == 0) & np.signbit(values), _MINUS_ZERO, integers))


def unpack(packed: np.ndarray, grid: Uniform) -> np.ndarray:
    """Returns the values that `pack` packed, float32 [...].

    Args:
        packed: uint8 [..., 3].
        grid: the grid they lay on.
    """
    integers = unpack24(packed)
    values = integers.astype(np.float32) * _step(grid, integers.shape)
    return np.where(integers == _MINUS_ZERO, np.float32(-0.0), values)


def _step(grid: Uniform, shape: tuple[int, ...]) -> np.ndarray:
    return grid.limits_for(shape) * np.float32(delta(grid.bits))
