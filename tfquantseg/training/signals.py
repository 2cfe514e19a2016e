"""Asks a loop to stop at its next step when the process is told to end."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TextIO

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_STOPPED = 128  # exit codes above it are those of a signal
_END = b"\0"  # no signal's number


@dataclasses.dataclass
class StopRequest:
    """Whether the process was told to end.

    Attributes:
        received: Number of the signal that came; None as long as none did.
    """

    received: int | None = None


@contextlib.contextmanager
def stop_request(said: str, stream: TextIO) -> Iterator[StopRequest]:
    """Takes note of the first SIGTERM or SIGINT (Ctrl-C); a second one ends the process at once.

    Use it in the main thread, as Python delivers signals there.

    Args:
        said: What is said at once when the first one comes.
        stream: Where.
    """
    request = StopRequest()

    def remember(number: int, frame: FrameType | None) -> None:
        request.received = request.received or number

    # The main thread heeds a signal only when it is back from TensorFlow, which is at the end of a
    # step, or of minutes of compiling; this pipe gets its number when it comes.
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    watching = threading.Thread(target=_watch, args=(reading, said, stream), daemon=True)
    watching.start()
    before = {which: signal.signal(which, remember) for which in _SIGNALS}
    wakeup = signal.set_wakeup_fd(writing)
    try:
        yield request
    finally:
        signal.set_wakeup_fd(wakeup)
        for which, handler in before.items():
            signal.signal(which, handler)
        os.write(writing, _END)
        watching.join()
        os.close(reading)
        os.close(writing)


def _watch(reading: int, said: str, stream: TextIO) -> None:
    """Answers the signals whose numbers come out of a pipe."""
    heard = False
    while True:
        number = os.read(reading, 1)
        if number == _END:
            return
        if number[0] not in _SIGNALS:
            continue
        if heard:
            os._exit(_STOPPED + number[0])  # What exit does beside this waits for the main thread.
        heard = True
        with contextlib.suppress(OSError):  # Nobody reads; a second signal is to be heeded still.
            # A terminal shows a line that is drawn anew, and ^C behind it.
            stream.write(f"\n{said}\n" if stream.isatty() else f"{said}\n")
            stream.flush()
