"""What a segmentation data set is: examples of one image and one label map each.

An *example* is one image with its label map. A *label* is a class index, 0 .. classes-1, or the
ignore label, which takes part in no loss and no metric. Sizes are height x width.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]


class Pair(NamedTuple):
    """One decoded example.

    Args:
        image: uint8 [H, W, 3], RGB.
        label: uint8 [H, W], a class index or the ignore label a pixel.
    """

    image: Bytes
    label: Bytes


@dataclasses.dataclass(frozen=True)
class Example:
    """One example that has not been decoded yet.

    Args:
        key: Name, unique within its split and usable as a file name.
        origin: Where it comes from, as error messages shall say it: its files, with paths.
        decode: Returns the pair. It is called from several threads at once.
        files: The image file and the mask file that it is decoded from; None where it is not made
            of two image files.
    """

    key: str
    origin: str
    decode: Callable[[], Pair]
    files: tuple[pathlib.Path, pathlib.Path] | None = None


@dataclasses.dataclass(frozen=True)
class SegmentationData:
    """One split of a segmentation data set.

    Anything that can say what its examples are can be one of these; `tfquantseg.data.load` makes
    those that come with the project.

    Args:
        name: Name of the data set.
        split: Name of the split, with its slice if it has one (`"train[:0.8]"`).
        classes: Class names; the position of a name is its label.
        palette: One RGB colour 0..255 a class, for pictures.
        examples: The examples, in the order of the data set.
        ignore_label: Label of the pixels that count in no loss and no metric.
        threads: How many shall decode at once; None is one a processor. Decoders of image files
            let go of Python's lock and gain by several; what Python itself computes loses by them.

    Raises:
        ValueError: There is no example, two have one key, palette and classes differ in length, or
            threads are below 1.
    """

    name: str
    split: str
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    examples: tuple[Example, ...] = dataclasses.field(repr=False)
    ignore_label: int = 255
    threads: int | None = None

    def __post_init__(self) -> None:
        """Refuses an empty split, examples of one key and classes without a colour."""
        if not self.examples:
            raise ValueError(f"{self.name} {self.split} has no example; at least one is needed.")
        origins: dict[str, str] = {}
        for example in self.examples:
            if example.key in origins:
                raise ValueError(
                    f"{self.name} {self.split} has two examples of key {example.key!r}: "
                    f"{origins[example.key]}, and {example.origin}. Remove or rename one."
                )
            origins[example.key] = example.origin
        if len(self.palette) != len(self.classes):
            raise ValueError(
                f"{self.name} has {len(self.classes)} classes and {len(self.palette)} colours; "
                "give each class one colour."
            )
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads={self.threads} is not accepted; give an integer from 1.")

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.examples)

    def key(self, index: int) -> str:
        """Name of example `index`, unique within the split."""
        return self.examples[index].key

    def read(self, index: int) -> Pair:
        """Decodes example `index`.

        Returns:
            `(image uint8 [H, W, 3], label uint8 [H, W])`, RGB.

        Raises:
            ValueError: The example cannot be decoded or breaks this contract; names its files.
        """
        example = self.examples[index]
        image, label = example.decode()
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(
                f"{example.origin}: the image is {image.dtype} {list(image.shape)}; "
                "accepted is uint8 [height, width, 3] of at least one pixel."
            )
        if label.dtype != np.uint8 or label.shape != image.shape[:2]:
            raise ValueError(
                f"{example.origin}: the image is {_size(image)}, its label map {label.dtype} "
                f"{_size(label)}; both must be of one size (height x width), labels uint8."
            )
        beyond = (label >= len(self.classes)) & (label != self.ignore_label)
        if beyond.any():
            raise ValueError(
                f"{example.origin}: label {label[beyond].max()} in {beyond.sum()} pixels; accepted "
                f"are 0..{len(self.classes) - 1} and {self.ignore_label} (ignore). Map other "
                "labels to these."
            )
        return Pair(image, label)


def _size(array: Bytes) -> str:
    return " x ".join(str(side) for side in array.shape[:2])
