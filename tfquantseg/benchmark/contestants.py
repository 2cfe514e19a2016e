"""The files of one trained float network that are compared, and how each is made.

    float32     TensorFlow's converter, as it is: the line that the others are compared with
    float32_on  the float network trained on for the steps that the two below get
    stock_ptq   TensorFlow's converter, int8 after training, on calibration images
    tfmot_qat   tfmot's quantization aware training for some steps, and TensorFlow's converter
    ours        `quantize`, the same steps on the same images at the same rate, and our exporter;
                or a network that the command train has trained in integers

What trains goes on where the float training ended: with its data, its loss, its momentum and decay,
at one learning rate. Without float32_on nobody could tell what quantization does from what more
training does.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

from tfquantseg.benchmark import description, stock, worker
from tfquantseg.benchmark.any_file import AnyFile
from tfquantseg.data import SegmentationData, class_weights
from tfquantseg.data.pipeline import MID_GREY
from tfquantseg.export import certify, draft, freeze, write_tflite
from tfquantseg.models.framing import Size
from tfquantseg.policy import preset
from tfquantseg.training.fine_tuning import fine_tune
from tfquantseg.training.image_scores import images_of_size
from tfquantseg.training.some_images import some_images
from tfquantseg.training.step import training_batches
from tfquantseg.transform import quantize

TITLES = {
    "float32": "float32",
    "float32_on": "float32, trained on",
    "stock_ptq": "int8, stock post-training",
    "tfmot_qat": "int8, tfmot QAT",
    "ours": "int8, ours",
}
"""By name, what is compared."""
BASE = "float32"
OF_PEERS = ("tfmot_qat",)

_CHUNK = 8  # batches that wait on the disk for tfmot
_LOSS = "softmax_cross_entropy"

Progress = Callable[[int, str], Callable[[], None]]
"""Makes, for so many things of a name, a function that is called after each."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subject:
    """The float network that is compared.

    Attributes:
        model: images to logits.
        config: of its run.
        step: training steps that it has done.
        training: the split that it was trained on.
        held_out: the split that files are scored on.
        size: height and width of the files' image, pixels.
    """

    model: keras.Model
    config: ConfigDict
    step: int
    training: SegmentationData
    held_out: SegmentationData
    size: Size

    @functools.cached_property
    def body(self) -> keras.Model:
        """The network behind its rescaling.

        Raises:
            ValueError: it does not begin with one.
        """
        return description.without_rescaling(self.model)

    def calibration(self, count: int) -> np.ndarray:
        """Returns images of the training split as `body` takes them, float32 [N, H, W, 3].

        They are padded or cut, at the bottom and the right, to the size of the files.
        """
        images = some_images(self.training, self.config, count)
        return self.rescaled(np.stack([_fitted(image, self.size) for image in images]))

    def examples(self, count: int) -> list[np.ndarray]:
        """Returns the first images of the split that is scored, uint8 [H, W, 3]."""
        images = images_of_size(self.held_out, self.config, self.size)
        return [image for image, _ in itertools.islice(images, count)]

    def rescaled(self, images: np.ndarray) -> np.ndarray:
        """Returns images of bytes as `body` takes them, float32."""
        return description.rescaled(self.model, images)

    def file(self, content: bytes, threads: int = 1) -> AnyFile:
        """Returns a file of this network, ready to class pixels."""
        grid = self.model.layers[1]
        return AnyFile(content, grid.scale, grid.offset, threads)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """How the files are made.

    Attributes:
        steps: that the two that train are trained on.
        learning_rate: of these steps.
        calibration: images of the training split that ranges are taken from.
        images: of the held out split, on which files and their graphs are compared pixel by pixel.
        policy: of ours, a preset's name with changes.
        threads: that tfmot may use.
    """

    steps: int
    learning_rate: float
    calibration: int
    images: int
    policy: str
    threads: int


@dataclasses.dataclass(frozen=True)
class Made:
    """A file, and what is known of it.

    Attributes:
        content: the file.
        agreement: share of the pixels that the file and the graph it was made from class alike.
        certificate: what was found of ours (`tfquantseg.export.Certificate.as_json`), or None.
    """

    content: bytes
    agreement: float
    certificate: dict[str, Any] | None = None


def float32(subject: Subject, options: Options) -> Made:
    """Makes the float32 file."""
    content = stock.float32_file(subject.body, subject.size)
    return Made(content, _agreement(subject, options, content, subject.model))


def float32_on(subject: Subject, options: Options, progress: Progress) -> Made:
    """Trains the float network on, and makes its float32 file.

    Raises:
        FloatingPointError: the training diverged.
    """
    model = quantize(subject.model, preset("FLOAT"))  # a copy
    _train_on(subject, options, model, progress, "steps of float32")
    content = stock.float32_file(description.without_rescaling(model), subject.size)
    return Made(content, _agreement(subject, options, content, model))


def stock_ptq(subject: Subject, options: Options) -> Made:
    """Makes the file of TensorFlow's post-training quantization."""
    images = subject.calibration(options.calibration)
    content = stock.int8_file(subject.body, images, subject.size)
    return Made(content, _agreement(subject, options, content, subject.model))


def ours(subject: Subject, options: Options, progress: Progress) -> Made:
    """Quantizes the float network, trains it on, and makes our file of it.

    Raises:
        ValueError: the policy is not known, or one that files can't hold.
        FloatingPointError: the training diverged.
    """
    model = quantize(subject.model, preset(options.policy))
    _train_on(subject, options, model, progress, "steps of ours")
    return of_integers(subject, options, model, progress)


def of_integers(subject: Subject, options: Options, model: keras.Model, progress: Progress) -> Made:
    """Makes our file of a network that was trained in integers.

    Raises:
        ValueError: its policy is one that files can't hold.
    """
    network = freeze(model, *subject.size)
    content = write_tflite(network)
    images = subject.examples(options.images)
    seen = progress(len(images), "images compared step by step")
    found = certify(network, model, content, images, seen=seen)
    as_json = found.as_json()
    kept = (
        *("ok", "problems", "images", "weights_equal", "twin_equal", "micro_equal"),
        "max_step_difference",
    )
    return Made(content, found.graph_twin.argmax, {name: as_json[name] for name in kept})


def tfmot_qat(subject: Subject, options: Options, python: Path, progress: Progress) -> Made:
    """Trains the float network on by tfmot, and makes TensorFlow's file of it.

    Args:
        subject: the float network.
        options: how.
        python: the interpreter of peers.lock.
        progress: shows how far it is.

    Raises:
        ValueError: a layer or a loss that has no place in the description for tf_keras.
        FloatingPointError: the training diverged.
        ChildProcessError: the worker ended, as it does where tfmot refuses a layer.
    """
    config = subject.config
    check_described(subject)
    balance = config.class_balance
    weights = class_weights(subject.training, balance) if balance else None
    batches = training_batches(config, subject.training, subject.step)
    first = next(batches)
    with (
        tempfile.TemporaryDirectory() as temporary,
        worker.of_peers("tfmot QAT", python, "tfmot_fine_tuning") as peers,
    ):
        folder = Path(temporary)
        description.write(subject.body, folder, tuple(first[0].shape[1:3]))
        np.save(folder / "calibration.npy", subject.calibration(options.calibration))
        trainer = peers.part("train")
        trainer.build(
            task="train",
            folder=str(folder),
            batches=str(folder),
            calibration=str(folder / "calibration.npy"),
            batch=config.data.batch,
            rate=options.learning_rate,
            momentum=config.optimizer.momentum,
            decay=config.optimizer.decay,
            factors=_factors(subject),
            ignore=subject.training.ignore_label,
            class_weights=weights,
            threads=options.threads,
        )
        seen = progress(options.steps, "steps of tfmot QAT")
        remaining = itertools.chain([first], batches)
        for start in range(0, options.steps, _CHUNK):
            numbers = range(start, min(start + _CHUNK, options.steps))
            files = [folder / f"{number}.npz" for number in numbers]
            for file, (images, labels) in zip(files, remaining, strict=False):
                np.savez(file, images=subject.rescaled(images.numpy()), labels=labels.numpy())
            try:
                trainer.steps(len(files))
            except FloatingPointError:
                raise FloatingPointError(
                    f"tfmot's training diverged within {numbers.stop} steps: its loss is not "
                    "finite. Give a lower --rate."
                ) from None
            for file in files:
                file.unlink()
                seen()
        images = np.stack(subject.examples(options.images))
        np.save(folder / "images.npy", subject.rescaled(images))
        peers.part("convert").build(
            task="convert",
            file=str(folder / "file"),
            size=list(subject.size),
            images=str(folder / "images.npy"),
            classes=str(folder / "classes.npy"),
        )
        content, of_graph = (folder / "file").read_bytes(), np.load(folder / "classes.npy")
    file_classes = [subject.file(content).classify(image) for image in images]
    return Made(content, float(np.mean(np.stack(file_classes) == of_graph)))


def check_described(subject: Subject) -> None:
    """Checks that tf_keras can build the network, and tfmot be trained as it was.

    Raises:
        ValueError: a layer or the loss has no twin there.
    """
    if subject.config.loss != _LOSS:
        raise ValueError(
            f"tfmot's side trains with {_LOSS}, and this run with {subject.config.loss}; leave "
            "tfmot_qat out of --variants."
        )
    try:
        description.describe(subject.body, subject.size)
    except ValueError as error:
        raise ValueError(f"{error} Or leave tfmot_qat out of --variants.") from error


def _train_on(
    subject: Subject, options: Options, model: keras.Model, progress: Progress, what: str
) -> None:
    fine_tune(
        model,
        subject.config,
        options.steps,
        done=subject.step,
        learning_rate=options.learning_rate,
        seen=progress(options.steps, what),
    )


def check_policy(subject: Subject, policy: str) -> None:
    """Checks that a file can hold what this policy makes of the network, before it is trained.

    Raises:
        ValueError: it can't, or the policy quantizes nothing; says why.
    """
    chosen = preset(policy)
    if chosen.is_float:
        raise ValueError(
            f"--policy is {policy!r}, which quantizes nothing; give one such as INTEGER."
        )
    try:
        draft(quantize(subject.model, chosen), *subject.size)
    except ValueError as error:
        raise ValueError(
            f"{error} Give another --policy, or leave ours out of --variants."
        ) from error


def _agreement(subject: Subject, options: Options, content: bytes, model: keras.Model) -> float:
    """Share of the pixels that a file and a float graph class alike."""
    graph = tf.function(model, jit_compile=False)
    file, same = subject.file(content), []
    for image in subject.examples(options.images):
        logits = graph(tf.constant(image[np.newaxis], tf.float32), training=False)
        same.append(np.mean(logits[0].numpy().argmax(-1) == file.classify(image)))
    return float(np.mean(same))


def _factors(subject: Subject) -> dict[str, float]:
    """By layer name, what multiplies its learning rate, as the run's recipe has it now."""
    found: dict[str, float] = {}
    entries: Sequence[Any] = tuple(subject.config.optimizer.factors)
    for layer in subject.model.layers:
        for pattern, factor, *since in entries:
            if re.fullmatch(pattern, layer.name):
                learns = not since or subject.step >= since[0]
                found[layer.name] = float(factor) if learns else 0.0
                break
    return found


def _fitted(image: np.ndarray, size: Size) -> np.ndarray:
    """An image, cut or padded with mid-grey at the bottom and the right."""
    fitted = np.full((*size, 3), MID_GREY, np.uint8)
    cut = image[: size[0], : size[1]]
    fitted[: cut.shape[0], : cut.shape[1]] = cut
    return fitted
