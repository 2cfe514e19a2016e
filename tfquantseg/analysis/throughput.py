"""How many images a second the data pipeline gives, and how many a training step takes.

Both run in the process that asks, in turns, so that whatever else the machine does falls on both
alike. Beside the time is the processor time of the process, all threads together, which others'
work changes little: where it is the smaller share, the pipeline is no limit, however busy the
machine. A step is measured on one batch that stays in memory.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
from ml_collections import ConfigDict

from tfquantseg.data import SegmentationData, load
from tfquantseg.training import parts
from tfquantseg.training.step import training_batches, training_step

Batches = Iterator[tuple[tf.Tensor, tf.Tensor]]
_ROUNDS = 3
_UNCOUNTED = 4  # batches before each round


@dataclasses.dataclass(frozen=True)
class Rate:
    """How fast images go through.

    Attributes:
        images: Number of images in all rounds.
        seconds: An image's time, median of the rounds.
        processor: An image's processor time, all threads together, in seconds, likewise.
    """

    images: int
    seconds: float
    processor: float

    def times(self, other: Rate) -> tuple[float, float]:
        """How many times the images of another rate this is, by time and by processor time."""
        return other.seconds / self.seconds, other.processor / self.processor

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON knows it; times in seconds an image."""
        return {**dataclasses.asdict(self), "images_per_second": 1 / self.seconds}


@dataclasses.dataclass(frozen=True)
class Throughput:
    """What was measured of a recipe.

    Attributes:
        examples: Number of images of the training split.
        decoded: The pipeline, every image decoded or drawn anew.
        cached: The pipeline, of images that are kept in memory; None where they are too many for
            the data set's `cache_bytes`.
        step: The training step; None if it was not asked for.
    """

    examples: int
    decoded: Rate
    cached: Rate | None
    step: Rate | None

    def rows(self) -> dict[str, Rate]:
        """What was measured, by its name here."""
        rates = {"decoded": self.decoded, "cached": self.cached, "step": self.step}
        return {name: rate for name, rate in rates.items() if rate is not None}

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON knows it; `times_the_step` is by time and by processor time."""
        rows: dict[str, Any] = {}
        for name, rate in self.rows().items():
            rows[name] = rate.as_json()
            if self.step is not None:
                rows[name]["times_the_step"] = rate.times(self.step)
        return {"examples": self.examples, **rows}


def measure(
    config: ConfigDict, seconds: float, *, with_step: bool, tell: Callable[[str], None]
) -> Throughput:
    """Measures the pipeline of a recipe's training split, and its training step.

    Args:
        config: The recipe.
        seconds: Least time to measure each of them for.
        with_step: Whether to measure the step: its network has to be built and traced.
        tell: Called with what is done next.

    Raises:
        ValueError: A part of the recipe is not accepted, or an image cannot be read.
    """
    options = config.data.options.to_dict()
    decoded = load(config.data.name, config.data.train, **{**options, "cache_bytes": 0})
    cached = load(config.data.name, config.data.train, **options)
    turns: dict[str, Callable[[], int]] = {"decoded": _pipeline(config, decoded)}
    tell("reading all images once")
    if _fits(cached):
        turns["cached"] = _pipeline(config, cached)
    if with_step:
        tell("building the network")
        turns["step"] = _step(config, decoded)
    rounds: dict[str, list[Rate]] = {name: [] for name in turns}
    for number in range(_ROUNDS):
        for name, turn in turns.items():
            tell(f"measuring {name}, {number + 1} of {_ROUNDS}")
            # What a pipeline has made ready while it waited, and the tracing of the step.
            for _ in range(_UNCOUNTED):
                turn()
            rounds[name].append(_timed(turn, seconds / _ROUNDS))
    rates = {name: _median(found) for name, found in rounds.items()}
    return Throughput(len(decoded), rates["decoded"], rates.get("cached"), rates.get("step"))


def _fits(data: SegmentationData) -> bool:
    """Reads every example, so that it is kept, until one is not; whether all are."""
    return all(data.read(index).image is data.read(index).image for index in range(len(data)))


def _pipeline(config: ConfigDict, data: SegmentationData) -> Callable[[], int]:
    """Takes a batch as the training loop does; returns the number of images."""
    batches = training_batches(config, data, 0)

    def turn() -> int:
        images, _ = next(batches)
        return int(images.shape[0])

    return turn


def _step(config: ConfigDict, data: SegmentationData) -> Callable[[], int]:
    """Does a training step; returns the number of images."""
    parts.deterministic(config.seed)
    classes = len(data.classes)
    model = parts.model(config, classes)
    optimizer = parts.optimizer(config)
    optimizer.build(model.trainable_variables)
    loss = parts.loss(config, data)
    step = training_step(model, loss, optimizer, classes=classes, ignore=data.ignore_label)
    images, labels = next(iter(training_batches(config, data, 0)))

    def turn() -> int:
        step(images, labels).loss.numpy()
        return int(images.shape[0])

    return turn


def _timed(turn: Callable[[], int], seconds: float) -> Rate:
    start, processor = time.perf_counter(), time.process_time()
    images = 0
    while images == 0 or time.perf_counter() - start < seconds:
        images += turn()
    taken = time.perf_counter() - start
    return Rate(images, taken / images, (time.process_time() - processor) / images)


def _median(rounds: list[Rate]) -> Rate:
    return Rate(
        sum(rate.images for rate in rounds),
        statistics.median(rate.seconds for rate in rounds),
        statistics.median(rate.processor for rate in rounds),
    )
