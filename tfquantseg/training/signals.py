"""Asks a loop to stop at its next step when the process is told to end."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclasses.dataclass
class StopRequest:
    """Whether the process was told to end.

    Attributes:
        received: Number of the signal that came; None as long as none did.
    """

    received: int | None = None


@contextlib.contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Takes note of the first SIGTERM or SIGINT (Ctrl-C); a second one ends the process as usual.

    Use it in the main thread, as Python delivers signals there.
    """
    request = StopRequest()

    def remember(number: int, frame: FrameType | None) -> None:
        request.received = number
        restore()

    def restore() -> None:
        for which, handler in before.items():
            signal.signal(which, handler)

    before = {which: signal.signal(which, remember) for which in _SIGNALS}
    try:
        yield request
    finally:
        restore()
