"""Slices of height and width, such as ``x[:, 1:-1, :32]``, as the Cropping2D that they are."""

from typing import Any

import keras


def cropping(operation: Any, args: tuple[Any, ...], name: str) -> keras.layers.Cropping2D | None:
    """Returns the layer, to be called on the tensor, of an op that slices height and width alone.

    Args:
        operation: a layer or op of any kind.
        args: what it is called with.
        name: of the layer.

    Returns:
        None for another operation, and for a slice that drops a dimension, leaves out samples or
        channels, has another step than 1, or whose length depends on a size that is not known.
    """
    kind = type(operation)
    if not kind.__module__.startswith("keras.src.ops.") or kind.__name__ != "GetItem":
        return None
    x, key = args
    slices = _of_each_dimension(key, len(x.shape))
    if len(x.shape) != 4 or slices is None:
        return None
    crops = [_crop(one, size) for one, size in zip(slices, x.shape, strict=True)]
    if None in crops or crops[0] != (0, 0) or crops[3] != (0, 0):
        return None
    return keras.layers.Cropping2D((crops[1], crops[2]), name=name)


def _of_each_dimension(key: Any, dimensions: int) -> list[Any] | None:
    """A slice for each dimension; None where something else selects."""
    parts = list(key) if isinstance(key, tuple) else [key]
    if not all(isinstance(part, slice) or part is Ellipsis for part in parts):
        return None
    at = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
    behind = parts[at + 1 :]
    whole = [slice(None)] * (dimensions - at - len(behind))
    return [*parts[:at], *whole, *behind]


def _crop(one: slice, size: int | None) -> tuple[int, int] | None:
    """How much a slice leaves out before and behind; None where that is not known."""
    if one.step not in (None, 1):
        return None
    if size is not None:
        start, stop, _ = one.indices(size)
        return (start, size - stop) if start < stop else None
    start, stop = one.start or 0, one.stop or 0
    is_known = start >= 0 and (stop < 0 or one.stop is None)
    return (start, -stop) if is_known else None
