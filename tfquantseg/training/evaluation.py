"""Scores of a model on a split, as numbers, as a table and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict
from PIL import Image

from tfquantseg import metrics, pictures
from tfquantseg.data import SegmentationData, batches
from tfquantseg.data.segmentation import Bytes
from tfquantseg.layers.edge import Scales, set_evaluation_scales
from tfquantseg.training import sizes
from tfquantseg.training.checkpoints import DAMAGE, Checkpoint, check_archive, damaged
from tfquantseg.training.loaded import is_quantized
from tfquantseg.training.step import readable

ScalesUsed = Scales | Literal["frozen"]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Scores, and of what.

    Attributes:
        data: Name of the data set.
        split: Name of the split.
        images: Number of its images.
        classes: Names of the classes.
        step: Training steps that the model has done.
        scales: Activation scales that were used: `"running"` estimates kept while training,
            `"dynamic"`, each batch's own, or `"frozen"`, those that a file holds. None for a float
            model, which has none.
        scores: The scores.
        miou_interval: The mIoU with its 95 % bootstrap interval over images.
    """

    data: str
    split: str
    images: int
    classes: tuple[str, ...]
    step: int
    scales: ScalesUsed | None
    scores: metrics.Scores
    miou_interval: metrics.Interval

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON knows it; scores are fractions in 0..1, None where undefined."""
        fields = dataclasses.asdict(self)
        values, interval = fields.pop("scores"), fields.pop("miou_interval")
        iou = values.pop("per_class_iou")
        return {
            **fields,
            **values,
            "miou_interval": interval,
            "per_class_iou": dict(zip(self.classes, iou, strict=True)),
        }

    def table(self) -> str:
        """The scores for a person to read, in percent."""
        width = max(len(name) for name in (*self.classes, "mIoU per image", "pixel accuracy"))
        rows = [
            ("mIoU", self.scores.miou),
            ("mIoU per image", self.scores.miou_per_image),
            ("pixel accuracy", self.scores.pixel_accuracy),
            None,
            *zip(self.classes, self.scores.per_class_iou, strict=True),
        ]
        head = f"{self.data} {self.split}, {self.images} images, after step {self.step}" + (
            f", {self.scales} activation scales" if self.scales else ""
        )
        lines = [head, "-" * len(head)]
        for row in rows:
            if row is None:
                lines.append(f"{'IoU of each class':<{width}}")
                continue
            name, value = row
            lines.append(f"{name:<{width}}  " + ("   -" if value is None else f"{value:6.2%}"))
        interval = self.miou_interval
        lines[2] += (
            f"  ({interval.level:.0%} of resampled image sets: {interval.low:.2%} to "
            f"{interval.high:.2%})"
        )
        return "\n".join(lines)


def load_model(checkpoint: Checkpoint) -> keras.Model:
    """The model of a checkpoint, ready to predict.

    Raises:
        ValueError: The file is damaged.
    """
    try:
        check_archive(checkpoint.model)
        return keras.saving.load_model(checkpoint.model, compile=False)
    except DAMAGE as error:
        raise damaged(checkpoint.path, error) from error


class Evaluator:
    """Evaluates one model, as often as wished, tracing it once.

    Args:
        model: Float or quantized; images to logits.
        data: The split.
        config: The run's config; how images are sized, and the batch.
        scales: Activation scales to use.

    Raises:
        ValueError: `scales` is another word.
    """

    def __init__(
        self,
        model: keras.Model,
        data: SegmentationData,
        config: ConfigDict,
        scales: Scales = "running",
    ) -> None:
        """Makes the function that predicts."""
        set_evaluation_scales(model, scales)
        self._model = model
        self._data = data
        self._config = config
        self._scales = scales

        @tf.function(jit_compile=False)
        def predict(images: tf.Tensor) -> tf.Tensor:
            return tf.argmax(model(images, training=False), axis=-1, output_type=tf.int32)

        self._predict = predict

    def counts(self) -> metrics.Counts:
        """Confusion matrices, int64 [images, C, C], in the order of the split.

        Images are padded to the model's stride with mid-grey at the bottom and the right; the
        padding counts in no score, which is to crop the prediction back.

        Raises:
            ValueError: An example cannot be read, or its size does not fit the model.
        """
        return self._counts(lambda labels: labels)

    def boundary_miou(self) -> float | None:
        """The mIoU over the pixels within `metrics.BOUNDARY` of a boundary of two classes.

        Returns:
            A fraction in 0..1; None where no image has such a boundary.

        Raises:
            ValueError: An example cannot be read, or its size does not fit the model.
        """
        ignore = self._data.ignore_label
        counts = self._counts(lambda labels: metrics.near_boundary(labels, ignore=ignore))
        return metrics.scores(counts).miou if counts.any() else None

    def _counts(self, kept: Callable[[np.ndarray], np.ndarray]) -> metrics.Counts:
        """Confusion matrices over the labels that `kept` keeps."""
        classes, ignore = len(self._data.classes), self._data.ignore_label
        counts = [
            metrics.confusion_matrices(kept(labels), guess, classes, ignore)
            for _, labels, guess in self._predicted(self._data)
        ]
        return np.concatenate(counts)

    def sheet(self, most: int) -> Image.Image:
        """A picture of the first examples of the split: image, ground truth, prediction.

        Args:
            most: Number of examples at most.

        Returns:
            An RGB image, its tiles padded as the model sees them.

        Raises:
            ValueError: An example cannot be read, or its size does not fit the model.
        """
        data = dataclasses.replace(self._data, examples=self._data.examples[:most])
        tiles: list[Bytes] = []
        for images, labels, guess in self._predicted(data):
            for image, label, predicted in zip(images, labels, guess, strict=True):
                image = image.astype(np.uint8)
                tiles.append(image)
                for shown in (label, np.where(label == data.ignore_label, label, predicted)):
                    tiles.append(
                        pictures.overlay(
                            image,
                            shown.astype(np.uint8),
                            data.palette,
                            ignore_label=data.ignore_label,
                        )
                    )
        captions = [
            caption
            for example in data.examples
            for caption in (example.key, "ground truth", "prediction")
        ]
        legend = zip(data.classes, data.palette, strict=True)
        return pictures.contact_sheet(tiles, captions, columns=3, legend=legend)

    def _predicted(self, data: SegmentationData) -> Iterator[tuple[Any, Any, Any]]:
        """Batches of images, labels and predicted classes, as arrays."""
        config = self._config.data
        dataset = batches(
            data,
            batch=config.batch,
            training=False,
            size=tuple(config.size),
            fit=config.fit,
            multiple=config.multiple,
        )
        for images, labels in readable(dataset):
            sizes.check(self._model, *images.shape[1:3])
            yield images.numpy(), labels.numpy(), self._predict(images).numpy()

    def evaluate(self, step: int) -> Evaluation:
        """Scores of the model as it is now.

        Args:
            step: Training steps that it has done.

        Raises:
            ValueError: An example cannot be read, or no pixel is labelled.
        """
        return self.score(self.counts(), step)

    def score(self, counts: metrics.Counts, step: int) -> Evaluation:
        """Scores of confusion matrices, as `counts` returned them.

        Args:
            counts: int64 [images, C, C].
            step: Training steps that the model had done.

        Raises:
            ValueError: No pixel is labelled.
        """
        scales = self._scales if is_quantized(self._model) else None
        return evaluation_of(counts, self._data, step, scales)


def evaluation_of(
    counts: metrics.Counts, data: SegmentationData, step: int, scales: ScalesUsed | None
) -> Evaluation:
    """Scores of confusion matrices, however they were counted.

    Args:
        counts: int64 [images, C, C], of every image of the split.
        data: The split.
        step: Training steps that the model had done.
        scales: Activation scales that it used, None if it has none.

    Raises:
        ValueError: No pixel is labelled.
    """
    return Evaluation(
        data=data.name,
        split=data.split,
        images=len(data),
        classes=data.classes,
        step=step,
        scales=scales,
        scores=metrics.scores(counts),
        miou_interval=metrics.bootstrap_miou(counts),
    )
