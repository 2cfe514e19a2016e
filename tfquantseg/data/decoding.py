"""Python that TensorFlow's threads run to decode examples, and how it ends with Python.

A thread that asks for Python while the interpreter ends is gone for good, and TensorFlow, which
waits for what it was to return, never ends. So before that nothing more is decoded.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
import time
from collections.abc import Iterator

_QUIET = 0.1  # seconds without a call, after which TensorFlow's buffers are full of refusals
_LONGEST = 10.0  # seconds that an exit waits, where a pipeline goes on over errors for ever


class Decoding:
    """The calls that are running, and whether there may be more."""

    def __init__(self) -> None:
        """Begins without a call."""
        self._changed = threading.Condition()
        self._running = 0
        self._last = 0.0
        self._ended = False

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """Is entered for the time of one call.

        Raises:
            ValueError: `end` has been called.
        """
        with self._changed:
            self._last = time.monotonic()
            if self._ended:
                raise ValueError("Python ends: nothing more is decoded.")
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def end(self) -> None:
        """Waits for the calls that are running, and until no more are asked for."""
        deadline = time.monotonic() + _LONGEST
        with self._changed:
            self._ended = True
            self._changed.wait_for(lambda: not self._running, timeout=_LONGEST)
        while self._last + _QUIET > time.monotonic() and time.monotonic() < deadline:
            time.sleep(_QUIET / 5)


DECODING = Decoding()
"""That of this process; it ends before Python does."""

atexit.register(DECODING.end)
