"""A line at the terminal that shows how far long work is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

_TERMINAL_SECONDS = 0.2  # between two redrawings of the line
_PLAIN_SECONDS = 15.0  # between two lines where no terminal redraws them
_BAR = 20  # characters


class Line:
    """A line that is redrawn on a terminal.

    Elsewhere (a pipe, a log file) it is written as a line of its own now and then.

    Args:
        stream: Where to write.
        clock: Seconds from any origin, ever rising.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        """Makes the line; nothing is drawn yet."""
        self._stream = stream
        self._clock = clock
        self._drawn = float("-inf")
        self._width = 0

    def draw(self, text: Callable[[], str], *, now: bool) -> None:
        """Shows a text, unless the last one is too young.

        Args:
            text: Makes the text, if it is to be shown.
            now: Show it however young the last one is.
        """
        time_now, terminal = self._clock(), self._stream.isatty()
        if not now and time_now - self._drawn < (_TERMINAL_SECONDS if terminal else _PLAIN_SECONDS):
            return
        self._drawn = time_now
        shown = text()
        if terminal:
            # Spaces wipe what a longer line left behind.
            self._stream.write(f"\r{shown.ljust(self._width)}")
            self._width = len(shown)
        else:
            self._stream.write(f"{shown}\n")
        self._stream.flush()

    def say(self, text: str) -> None:
        """Writes a line of its own, above the one that is redrawn."""
        self._stream.write(f"\r{text.ljust(self._width)}\n" if self._width else f"{text}\n")
        self._width = 0
        self._drawn = float("-inf")
        self._stream.flush()


class Count:
    """Shows how many of some things are done, how many a second, and the time left.

    Args:
        total: Number of things.
        what: Their name, as in "images of train".
        stream: Where to write.
        clock: Seconds from any origin, ever rising.
    """

    def __init__(
        self,
        total: int,
        what: str,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts the clock."""
        self._total = total
        self._what = what
        self._done = 0
        self._clock = clock
        self._start = clock()
        self._line = Line(stream, clock)

    def step(self) -> None:
        """Tells that one more is done; the last one ends the line."""
        self._done += 1
        if self._done < self._total:
            self._line.draw(self._text, now=False)
        else:
            self._line.say(self._text())

    def _text(self) -> str:
        seconds = self._clock() - self._start
        text = f"{bar(self._done / self._total)} {self._done}/{self._total} {self._what}"
        if self._done == self._total:
            return f"{text} in {duration(seconds)}"
        left = duration(seconds / self._done * (self._total - self._done))
        speed = f"  {self._done / seconds:.1f}/s" if seconds else ""
        return f"{text}{speed}  {left} left"


class Bytes:
    """Shows how much of a file is there, how much comes a second, and the time left.

    Args:
        stream: Where to write.
        clock: Seconds from any origin, ever rising.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts the clock."""
        self._clock = clock
        self._start = clock()
        self._line = Line(stream, clock)
        self._done = 0

    def show(self, done: int, total: int | None) -> None:
        """Tells how many bytes are there, and of how many where that is known."""
        self._done = done
        self._line.draw(lambda: self._text(done, total), now=False)

    def say(self, text: str) -> None:
        """Writes a line of its own."""
        self._line.say(text)

    def end(self) -> None:
        """Tells that all are there; ends the line."""
        seconds = self._clock() - self._start
        self._line.say(f"{bar(1)} {_megabytes(self._done)} MB in {duration(seconds)}")

    def _text(self, done: int, total: int | None) -> str:
        seconds = self._clock() - self._start
        speed = f"  {_megabytes(done / seconds)} MB/s" if seconds else ""
        if not total:
            return f"{_megabytes(done)} MB{speed}"
        left = duration(seconds / done * (total - done)) if done else "?"
        return f"{bar(done / total)} {_megabytes(done)}/{_megabytes(total)} MB{speed}  {left} left"


def _megabytes(count: float) -> str:
    return f"{count / 1e6:,.1f}"


def bar(done: float) -> str:
    """A bar of 20 characters, of which the share `done` in 0..1 is full."""
    return f"[{'#' * round(done * _BAR):-<{_BAR}}]"


def duration(seconds: float) -> str:
    """Minutes and seconds, as in 3:07; hours before them where there are any."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
