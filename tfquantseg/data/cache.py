"""Keeps decoded examples in memory, up to a number of bytes."""

from __future__ import annotations

import dataclasses
import functools
import threading

from tfquantseg.data.segmentation import Example, Pair, SegmentationData


class _Memory:
    """Decoded examples by their position in the split.

    Once full it keeps what it has: an epoch reads every example once, so that making room for one
    would only push out another that is needed as much.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._pairs: dict[int, Pair] = {}
        self._lock = threading.Lock()

    def decode(self, position: int, example: Example) -> Pair:
        pair = self._pairs.get(position)
        if pair is not None:
            return pair
        pair = example.decode()
        size = pair.image.nbytes + pair.label.nbytes
        with self._lock:
            if position not in self._pairs and self._used + size <= self._limit:
                # Shared from now on, so nobody may write to it.
                pair.image.flags.writeable = pair.label.flags.writeable = False
                self._pairs[position] = pair
                self._used += size
        return pair


def in_memory(data: SegmentationData, limit: int) -> SegmentationData:
    """The same data, whose examples are decoded once and then kept as uint8.

    Args:
        data: Any data.
        limit: Most bytes to keep; examples beyond are decoded at each reading.
    """
    memory = _Memory(limit)
    return dataclasses.replace(
        data,
        examples=tuple(
            dataclasses.replace(example, decode=functools.partial(memory.decode, position, example))
            for position, example in enumerate(data.examples)
        ),
    )
