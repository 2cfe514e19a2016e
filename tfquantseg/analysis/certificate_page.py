"""The certificate as a page for people, and a picture of where file and model differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from PIL import Image

from tfquantseg import pictures
from tfquantseg.data import SegmentationData
from tfquantseg.data.segmentation import Bytes
from tfquantseg.export import Certificate
from tfquantseg.metrics import Interval

_DIFFERENT = (255, 0, 255)
_TILE = 288  # pixels
_STANDS_FOR = (
    "The reference kernels stand for tflite-micro on a microcontroller (compared in the table "
    "above, where it was run), the default kernels for the CPU of a phone or computer; a Coral's "
    "Edge TPU may compute other integers than both, which was not measured."
)


@dataclasses.dataclass(frozen=True)
class Frozen:
    """How the steps of the activations became constants.

    Attributes:
        method: "running", the estimates of training; "max" or "percentile" over images.
        step: of training, after which the checkpoint was saved.
        steps: of the whole training, by its recipe.
        split: data set and split of those images; "" for running ones.
        images: how many.
        percentile: of all values; None but for "percentile".
        fine_tuned: training steps that were added at the constant steps.
    """

    method: str
    step: int
    steps: int
    split: str = ""
    images: int = 0
    percentile: float | None = None
    fine_tuned: int = 0

    @property
    def weights_of(self) -> str:
        """What the weights are those of: "training" or "fine-tuning"."""
        return "fine-tuning" if self.fine_tuned else "training"

    def as_json(self) -> dict[str, object]:
        """The fields as the certificate's JSON names them."""
        return {
            "step": self.step,
            "training_steps": self.steps,
            "weights_of": self.weights_of,
            "activation_steps": {
                "method": self.method,
                "split": self.split or None,
                "images": self.images,
                "percentile": self.percentile,
                "fine_tuning_steps": self.fine_tuned,
            },
        }

    def __str__(self) -> str:
        """Where steps and weights come from, in two sentences."""
        source = {
            "running": "the running estimates of training",
            "max": f"the largest value over {self.images} images of {self.split}",
            "percentile": f"the {self.percentile}th percentile of the magnitudes over "
            f"{self.images} images of {self.split}",
        }[self.method]
        steps = f"Activation steps: {source}."
        after = f"after step {self.step:,} of {self.steps:,}"
        if not self.fine_tuned:
            return f"{steps} Weights: the integers of training {after}."
        return (
            f"{steps} Weights: the integers that {self.fine_tuned} more steps of training {after} "
            "ended with, at these constant activation steps; they are not those of the checkpoint."
        )


@dataclasses.dataclass(frozen=True)
class Scores:
    """mIoU of model and file on the same images, 0..1.

    Attributes:
        split: data set and split.
        images: how many.
        dynamic: the trained model's, in Keras, each image giving its own activation scales.
        running: the trained model's, in Keras, with running scales.
        graph: the frozen model's, in Keras: the steps of the file, and its weights.
        reference: the file's, by the reference kernels, which compute what the twin does.
        default: the file's, by the kernels of phones and computers.
        reference_less_graph: the difference of these two, with its bootstrap interval.
        default_less_graph: likewise.
    """

    split: str
    images: int
    dynamic: float
    running: float
    graph: float
    reference: float
    default: float
    reference_less_graph: Interval
    default_less_graph: Interval

    def as_json(self) -> dict[str, object]:
        """The scores as the certificate's JSON names them."""
        return {
            "split": self.split,
            "split_images": self.images,
            "miou_dynamic": self.dynamic,
            "miou_running": self.running,
            "miou_graph": self.graph,
            "miou_twin": self.reference,
            "miou_tflite": self.default,
            "miou_twin_difference": dataclasses.asdict(self.reference_less_graph),
            "miou_tflite_difference": dataclasses.asdict(self.default_less_graph),
        }


def page(
    certificate: Certificate,
    scores: Scores,
    frozen: Frozen,
    *,
    name: str,
    size: tuple[int, int],
    sha256: str,
) -> str:
    """The certificate in Markdown.

    Args:
        certificate: What was compared.
        scores: Of model and file.
        frozen: How the model was frozen.
        name: The model's.
        size: Height and width of the file's image, pixels.
        sha256: Of the file.
    """
    verdict = "Every promise is kept." if not certificate.problems else "Promises are broken:"
    lines = [
        f"# Certificate of model_int8.tflite: {name}, {size[0]} x {size[1]}",
        "",
        f"SHA-256 of the file: {sha256}",
        "",
        verdict,
        *(f"- {problem}" for problem in certificate.problems),
        "",
        str(frozen),
        "",
        "## Whole images",
        "",
        f"{certificate.images} images of {scores.split}. The twin computes the frozen network in "
        "integers only; a step is one of the logits', and another class counts as one.",
        "",
        "| against the twin | largest difference, steps | logits that differ | same class |",
        "|---|---|---|---|",
    ]
    for what, one in (
        ("file, LiteRT's reference kernels", certificate.file_twin),
        ("file, tflite-micro", certificate.micro_twin),
        ("file, LiteRT's default kernels (XNNPACK)", certificate.default_twin),
        ("model, Keras in float32", certificate.graph_twin),
    ):
        row = (
            f"not run: {certificate.micro_why_not} | |"
            if one is None
            else (f"{one.most} | {one.share:.2%} | {one.argmax:.2%}")
        )
        lines.append(f"| {what} | {row} |")
    lines += [
        "",
        "## Scores",
        "",
        f"mIoU on all {scores.images} images of {scores.split}.",
        "",
        f"| | mIoU | less frozen model ({scores.default_less_graph.level:.0%} of resampled image "
        "sets), points |",
        "|---|---|---|",
        f"| trained model, Keras, each image's own activation scales | {scores.dynamic:.2%} | |",
        f"| trained model, Keras, running scales | {scores.running:.2%} | |",
        f"| frozen model, Keras | {scores.graph:.2%} | |",
        f"| file, LiteRT's reference kernels | {scores.reference:.2%} | "
        f"{_points(scores.reference_less_graph)} |",
        f"| file, LiteRT's default kernels (XNNPACK) | {scores.default:.2%} | "
        f"{_points(scores.default_less_graph)} |",
        "",
        _STANDS_FOR,
        "",
        "## Weights",
        "",
        f"Each read back from the file and compared with the integer of {frozen.weights_of}, times "
        "the sign of its channel's gamma.",
        "",
        "| convolution | weights | equal | channels turned | channels of gamma 0 |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.name} | {one.count:,} | {'yes' if one.equal else 'NO'} | {one.flipped} "
        f"| {one.zeroed} |"
        for one in certificate.weights
    ]
    lines += [
        "",
        "## Operations",
        "",
        "Each operation of the model's graph against the twin's, on the integers that the graph "
        "itself gave it.",
        "",
        "| output of | operation | largest difference, steps | outputs that differ |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {layer.name} | {layer.operation} | {layer.most} | {layer.share:.3%} |"
        for layer in certificate.layers
    ]
    return "\n".join(lines) + "\n"


def _points(difference: Interval) -> str:
    """A difference of mIoU in points, with its interval."""
    low, high = 100 * difference.low, 100 * difference.high
    return f"{100 * difference.estimate:+.2f} ({low:+.2f} to {high:+.2f})"


def picture(
    examples: Sequence[tuple[str, Bytes, np.ndarray, np.ndarray]], data: SegmentationData
) -> Image.Image:
    """Where the classes of file and model differ, on a few images.

    Args:
        examples: Key, image uint8 [H, W, 3], and the class of each pixel by the model and by the
            file, integers [H, W].
        data: The split; its classes and colours.
    """
    tiles: list[Bytes] = []
    captions: list[str] = []
    for key, image, of_model, of_file in examples:
        apart = of_model != of_file
        marked = image // 2
        marked[apart] = _DIFFERENT
        tiles += [
            image,
            pictures.overlay(image, of_file.astype(np.uint8), data.palette),
            marked.astype(np.uint8),
        ]
        captions += [key, "file", f"differs from the model: {apart.mean():.2%}"]
    legend = zip(data.classes, data.palette, strict=True)
    return pictures.contact_sheet(tiles, captions, columns=3, tile_width=_TILE, legend=legend)
