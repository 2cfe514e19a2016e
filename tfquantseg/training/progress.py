"""The line that tells a person at the terminal how training goes."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable
from typing import TextIO

import numpy as np

from tfquantseg.metrics import Counts, scores
from tfquantseg.training.bar import Line, bar, duration

_WINDOW = 50  # steps that speed, loss and mIoU are taken over


class Progress:
    """Shows step, loss, mIoU of the training images, images a second and time left.

    Loss, mIoU and speed are taken over the last 50 steps, without the time that `paused` takes out.

    Args:
        steps: Steps of the whole run.
        done: Steps done before, by the run that is resumed.
        batch: Images a step.
        stream: Where to write.
        clock: Seconds from any origin, ever rising.
    """

    def __init__(
        self,
        steps: int,
        done: int,
        batch: int,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts the clock."""
        self._steps = steps
        self._step = done
        self._batch = batch
        self._line = Line(stream, clock)
        self._clock = clock
        self._last = clock()
        self._seconds: collections.deque[float] = collections.deque(maxlen=_WINDOW)
        self._losses: collections.deque[float] = collections.deque(maxlen=_WINDOW)
        self._confusions: collections.deque[Counts] = collections.deque(maxlen=_WINDOW)

    @property
    def images_per_second(self) -> float:
        """Speed over the last steps; 0 before the first."""
        seconds = sum(self._seconds)
        return self._batch * len(self._seconds) / seconds if seconds else 0.0

    def step(self, step: int, loss: float, confusion: Counts) -> None:
        """Tells that a step is done.

        Args:
            step: Its number, from 1.
            loss: Its loss.
            confusion: int64 [C, C], pixels of its training images by class and prediction.
        """
        now = self._clock()
        # The first step also traces and compiles; it would spoil the estimate for minutes.
        if self._losses:
            self._seconds.append(now - self._last)
        self._losses.append(loss)
        self._confusions.append(confusion)
        self._last = now
        self._step = step
        self._line.draw(self._text, now=step == self._steps)

    def paused(self) -> None:
        """Leaves the time since the last step out of the speed, once an evaluation has ended."""
        self._last = self._clock()

    def say(self, text: str) -> None:
        """Writes a line of its own, above the bar."""
        self._line.say(text)

    def _text(self) -> str:
        loss = sum(self._losses) / len(self._losses)
        seen = np.sum(self._confusions, axis=0)
        # Without a labelled pixel so far there is no score.
        miou = f"{scores(seen[np.newaxis]).miou:.1%}" if seen.any() else "-"
        done = f"{bar(self._step / self._steps)} step {self._step}/{self._steps}"
        text = f"{done}  loss {loss:.4g}  train mIoU {miou}"
        speed = self.images_per_second
        if not speed:
            return text
        left = (self._steps - self._step) * self._batch / speed
        return f"{text}  {speed:.1f} images/s  {duration(left)} left"
