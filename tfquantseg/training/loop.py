"""The training loop: explicit, resumable bit for bit."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import math
from pathlib import Path
from typing import Any, Literal, TextIO

import tensorflow as tf
from ml_collections import ConfigDict

from tfquantseg import kernels
from tfquantseg.data.file_pairs import check_sizes
from tfquantseg.data.survey import check_classes
from tfquantseg.layers import QuantEdge, clipped_statistics, object_table
from tfquantseg.training import checkpoints, parts, recipe, sizes, whole, workdir
from tfquantseg.training.board import Board
from tfquantseg.training.evaluation import Evaluation, Evaluator
from tfquantseg.training.hints import hints
from tfquantseg.training.log import Log
from tfquantseg.training.progress import Progress
from tfquantseg.training.signals import StopRequest, stop_request
from tfquantseg.training.step import StepResult, training_batches, training_step
from tfquantseg.training.zeroed import ZeroedShares

Batch = tuple[tf.Tensor, tf.Tensor]  # images and labels, of every replica

_STOPPING = "Stopping after this step, which is saved; again to end now, without saving."
_SHOWN = 4  # examples of the validation split in a picture


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a call of `train` ended.

    Attributes:
        status: "finished" now, "already finished" before, or "stopped" by a signal.
        step: Steps done.
        signal: The signal's number if it was stopped, else None.
        evaluation: Of the last model on the validation split if it finished now, else None.
    """

    status: Literal["finished", "already finished", "stopped"]
    step: int
    signal: int | None = None
    evaluation: Evaluation | None = None


def train(config: ConfigDict, path: Path, stream: TextIO) -> Outcome:
    """Trains, or goes on training, in a work directory.

    The same config in the same directory goes on from its newest checkpoint, and ends with the
    same weights, bit for bit, as if it had not been interrupted (on the same machine and versions).
    SIGTERM and Ctrl-C save a checkpoint and stop; a second one ends the process at once.

    Args:
        config: See configs/digits.py.
        path: The work directory; see workdir.py.
        stream: Where progress is shown.

    Raises:
        ValueError: The config, the data, or what the directory holds is not accepted.
        FloatingPointError: The loss or a gradient is not finite; names the step and the layers.
        OSError: The directory cannot be written. Its checkpoints are whole.
    """
    recipe.check(config)
    as_saved = recipe.plain(config)
    with workdir.opened(path, as_saved), stop_request(_STOPPING, stream) as stop:
        if (path / workdir.SCORES).exists():
            return Outcome("already finished", config.steps)
        parts.deterministic(config.seed)
        run = _Run(config, as_saved, path, stream)
        return run.until_done(stop)


class _Run:
    """One run, from its newest checkpoint on."""

    def __init__(
        self, config: ConfigDict, as_saved: dict[str, Any], path: Path, stream: TextIO
    ) -> None:
        self._config = config
        self._as_saved = as_saved
        self._path = path
        self._folder = path / workdir.CHECKPOINTS
        self._data = parts.data(config, config.data.train)
        held_out = parts.data(config, config.data.val)
        for data in (self._data, held_out):
            check_sizes(data)  # Else a wrong mask of `val` is met after the first part of training.
        check_classes(self._data)
        classes = len(self._data.classes)
        with tf.distribute.get_strategy().scope():
            self._model = parts.model(config, classes)
            self._optimizer = parts.optimizer(config)
            self._optimizer.build(self._model.trainable_variables)
        sizes.check_training(self._model, config)
        newest = checkpoints.newest(self._folder)
        if newest:
            checkpoints.restore(newest, self._model, self._optimizer, as_saved)
        self._done = newest.step if newest else 0
        loss, ignore = parts.loss(config, self._data), self._data.ignore_label
        self._step = training_step(
            self._model, loss, self._optimizer, classes=classes, ignore=ignore
        )
        self._zeroed = ZeroedShares(self._model, loss, ignore)
        self._evaluator = Evaluator(self._model, held_out, config)
        self._progress = Progress(config.steps, self._done, config.data.batch, stream)

    def until_done(self, stop: StopRequest) -> Outcome:
        """Trains until the last step or a signal."""
        steps = self._config.steps
        evaluation = None
        batches = training_batches(self._config, self._data, self._done)
        # All that a config can have wrong has been met once there is a batch.
        batches = itertools.chain([next(batches)], batches)
        workdir.claim(self._path, self._as_saved)
        self._announce()
        objects = object_table(self._model)
        whole.write_whole(self._path / workdir.OBJECTS, objects.encode())
        with (
            contextlib.closing(Log(self._path / workdir.LOG, self._done)) as log,
            contextlib.closing(Board(self._path / workdir.BOARD, self._done)) as board,
        ):
            board.table(self._done, "objects", objects)
            while self._done < steps:
                try:
                    batch = next(batches)
                except ValueError:  # A file that cannot be read loses no training.
                    self._save(None)
                    raise
                result = self._step(*batch)
                self._check_finite(result)
                self._done += 1
                evaluation, received = self._after_step(result, batch, log, board, stop)
                if received and self._done < steps:
                    return Outcome("stopped", self._done, received)
        evaluation = evaluation or self._evaluator.evaluate(steps)
        scores = json.dumps(evaluation.as_json(), indent=2).encode() + b"\n"
        whole.write_whole(self._path / workdir.SCORES, scores)
        return Outcome("finished", steps, evaluation=evaluation)

    def _announce(self) -> None:
        steps, boundaries = self._config.steps, self._config.optimizer.boundaries
        where = self._path.resolve()
        if self._done:
            self._progress.say(f"Going on in {where} from step {self._done} of {steps}.")
        else:
            self._progress.say(f"Training in {where}")
        late = [step for step in boundaries if step >= steps]
        if late:
            self._progress.say(
                f"The last step is {steps}: the learning rate is not halved at "
                f"{', '.join(map(str, late))}, as config.optimizer.boundaries says."
            )
        why = kernels.why_not()
        if why and any(isinstance(layer, QuantEdge) for layer in self._model.layers):
            self._progress.say(f"{why} TensorFlow's kernels multiply instead, more slowly.")
        if self._done < steps:
            self._progress.say("Building the graph; the first step takes about a minute.")

    def _after_step(
        self, result: StepResult, batch: Batch, log: Log, board: Board, stop: StopRequest
    ) -> tuple[Evaluation | None, int | None]:
        """Shows, evaluates, logs and saves what is due after a step.

        Returns:
            The evaluation, if there was one, and the signal for which the step was saved.
        """
        config, step = self._config, self._done
        loss = float(result.loss)
        self._progress.step(step, loss, result.confusion.numpy())
        row = {
            "step": step,
            "loss": loss,
            "learning_rate": float(result.learning_rate),
            "images_per_second": round(self._progress.images_per_second, 2),
        }
        board.scalars(step, {f"train/{name}": row[name] for name in row if name != "step"})
        evaluation = None
        evaluates = step == config.steps or step % config.evaluate_every == 0
        try:
            if evaluates:
                evaluation = self._evaluate()
                scores = dataclasses.asdict(evaluation.scores)
                row |= {name: scores[name] for name in ("miou", "miou_per_image", "pixel_accuracy")}
                self._show(evaluation, batch, board)
        finally:  # An evaluation that fails loses no training.
            log.write(**row)
            board.flush()
            received = stop.received  # Read once: a signal may come at any moment.
            if evaluates or step % config.checkpoint_every == 0 or received:
                self._save(evaluation)
                self._progress.paused()
        return evaluation, received

    def _save(self, evaluation: Evaluation | None) -> None:
        checkpoints.save(
            self._folder,
            self._model,
            self._optimizer,
            step=self._done,
            miou=evaluation.scores.miou if evaluation else None,
            config=self._as_saved,
            keep=self._config.keep,
        )

    def _evaluate(self) -> Evaluation:
        evaluation = self._evaluator.evaluate(self._done)
        scores = evaluation.scores
        self._progress.say(
            f"step {self._done}: {evaluation.data} {evaluation.split} mIoU {scores.miou:.2%}, per "
            f"image {scores.miou_per_image:.2%}, pixels {scores.pixel_accuracy:.2%}"
            + (f" ({evaluation.scales} activation scales)" if evaluation.scales else "")
        )
        for line in hints(self._model, self._optimizer):
            self._progress.say(line)
        return evaluation

    def _show(self, evaluation: Evaluation, batch: Batch, board: Board) -> None:
        """Brings scores, monitors and predictions to the board."""
        scores, step = evaluation.scores, evaluation.step
        curves = {
            "val/miou": scores.miou,
            "val/miou_per_image": scores.miou_per_image,
            "val/pixel_accuracy": scores.pixel_accuracy,
        }
        for name, iou in zip(evaluation.classes, scores.per_class_iou, strict=True):
            if iou is not None:
                curves[f"val_iou/{name}"] = iou
        for path, shares in self._optimizer.monitors().items():
            curves |= {f"{monitor}/{path}": share for monitor, share in shares.items()}
        for name, share in clipped_statistics(self._model).items():
            curves[f"clipped/{name}"] = share
        strategy = tf.distribute.get_strategy()
        images, labels = (strategy.experimental_local_results(part)[0] for part in batch)
        for name, share in self._zeroed.of(images, labels).items():
            curves[f"zeroed/{name}"] = share
        board.scalars(step, curves)
        board.picture(step, "val", self._evaluator.sheet(_SHOWN))

    def _check_finite(self, result: StepResult) -> None:
        """Raises where the loss or a gradient is not finite; nothing of the step is saved."""
        paths = self._optimizer.nonfinite_layers()
        loss = float(result.loss)
        if math.isfinite(loss) and not paths:
            return
        what = [] if math.isfinite(loss) else [f"the loss is {loss}"]
        if paths:
            more = f" and {len(paths) - 1} before it" if len(paths) > 1 else ""
            what.append(f"the gradient of {paths[0]}{more} is not finite")
        newest = checkpoints.newest(self._folder)
        raise FloatingPointError(
            f"Step {self._done + 1} failed: {', '.join(what)}. "
            + (f"The last good checkpoint is {newest.path}. " if newest else "Nothing is saved. ")
            + "Train in another --workdir with a lower --config.optimizer.learning_rate."
        )
