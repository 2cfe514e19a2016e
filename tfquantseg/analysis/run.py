"""A run that is looked at: its checkpoints, its first network, and a batch of its data."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import keras
from ml_collections import ConfigDict

from tfquantseg.analysis.observed import Observed, observe
from tfquantseg.data import SegmentationData
from tfquantseg.training import checkpoints, log, parts, workdir
from tfquantseg.training.evaluation import load_model
from tfquantseg.training.prediction import Predictor
from tfquantseg.training.step import training_batches

_IMAGES = 4  # of a batch, at most: what flows through a network takes memory


class Run:
    """A work directory, read when it is asked for.

    Args:
        path: that a training made.

    Attributes:
        path: the work directory.
        config: of the run.
        saved: its checkpoints, in the order of their steps.

    Raises:
        FileNotFoundError: it is no work directory, or has no checkpoint.
        ValueError: its config or a checkpoint is damaged.
    """

    def __init__(self, path: Path) -> None:
        """Reads the config, and which checkpoints there are."""
        self.path = path
        self.config = ConfigDict(workdir.read_config(path))
        self._last = checkpoints.find(path / workdir.CHECKPOINTS, "last")
        self.saved = checkpoints.listed(path / workdir.CHECKPOINTS)
        self._observed: dict[int, tuple[Observed, ...]] = {}

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.path.absolute().name

    @property
    def title(self) -> str:
        """What is looked at, for pictures."""
        return f"{self.config.data.name}, {self.config.policy}, step {self._last.step}"

    @property
    def steps(self) -> tuple[int, ...]:
        """0, that of the initial network, and those of the checkpoints."""
        return tuple(dict.fromkeys((0, *(one.step for one in self.saved))))

    @functools.cached_property
    def validation(self) -> SegmentationData:
        """The split that the run was validated on."""
        return parts.data(self.config, self.config.data.val)

    @functools.cached_property
    def last(self) -> keras.Model:
        """The network of the last checkpoint."""
        return load_model(self._last)

    def log(self) -> list[dict[str, str]]:
        """Returns the rows of the run's log."""
        return log.read(self.path / workdir.LOG)

    def predictor(self) -> Predictor:
        """Returns what classes the pixels of an image, by the last checkpoint."""
        config = self.config.data
        return Predictor(
            self.last,
            multiple=config.multiple,
            resize=tuple(config.size) if config.fit == "resize" else None,
        )

    def observed(self, step: int | None = None) -> tuple[Observed, ...]:
        """Returns what flows through the network in its next training step.

        Args:
            step: one of `steps`; None for the last.
        """
        step = self._last.step if step is None else step
        if step not in self._observed:
            training = parts.data(self.config, self.config.data.train)
            images, labels = self._batch(training, step)
            loss = parts.loss(self.config, training)
            self._observed[step] = observe(
                self._model(step),
                loss,
                training.ignore_label,
                images,
                labels,
                self.config.seed,
            )
        return self._observed[step]

    def _model(self, step: int) -> keras.Model:
        if step == self._last.step:
            return self.last
        if step == 0:
            parts.deterministic(self.config.seed)
            return parts.model(self.config, len(self.validation.classes))
        return load_model(next(one for one in self.saved if one.step == step))

    def _batch(self, training: SegmentationData, step: int) -> tuple[Any, Any]:
        images, labels = next(training_batches(self.config, training, step))
        return images[:_IMAGES], labels[:_IMAGES]
