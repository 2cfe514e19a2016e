"""Turns the bytes of a mask into labels by a table, and refuses a byte that the table lacks."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import numpy as np

from tfquantseg.data.segmentation import Bytes
from tfquantseg.names import first_few


def to_labels(
    values: Bytes, table: Mapping[int, int], *, mask: pathlib.Path, accepted: str, advice: str
) -> Bytes:
    """Looks each byte up.

    Args:
        values: uint8 [H, W].
        table: The label of each accepted byte; the ignore label is one of them.
        mask: Where the bytes are from, for the message.
        accepted: What the bytes may be, as in "0 to 20 and 255 (void)".
        advice: What to do about others: a sentence, or some.

    Returns:
        uint8 [H, W].

    Raises:
        ValueError: A byte is not in the table; names all such bytes, and how many pixels have them.
    """
    lookup = np.zeros(256, np.uint8)
    lookup[list(table)] = list(table.values())
    counts = np.bincount(values.reshape(-1), minlength=256)
    unknown = [int(value) for value in np.flatnonzero(counts) if int(value) not in table]
    if unknown:
        found = first_few(f"{value} ({counts[value]} pixels)" for value in unknown)
        raise ValueError(
            f"{mask} holds values that mean nothing here: {found}; accepted are {accepted}. "
            f"{advice}"
        )
    labels: Bytes = lookup[values]
    return labels
