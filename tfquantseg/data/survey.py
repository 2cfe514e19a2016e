"""What a split holds: sizes, how often each class occurs, and what cannot be read.

Every example is decoded once. What is wrong with one does not end the survey: it is noted, and the
example counts in nothing else.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfquantseg.data.segmentation import Pair, SegmentationData

Size = tuple[int, int]
"""Height and width, pixels."""


@dataclasses.dataclass(frozen=True)
class Survey:
    """What one split holds.

    Attributes:
        data: Name of the data set.
        split: Name of the split.
        classes: Names of the classes.
        examples: Number of examples, those that cannot be read included.
        sizes: Height and width of each example that can be read.
        pixels: Pixels of each class.
        images: Images in which each class occurs.
        ignored: Pixels that are ignored.
        unreadable: For each example that cannot be read what is wrong, with its files.
    """

    data: str
    split: str
    classes: tuple[str, ...]
    examples: int
    sizes: tuple[Size, ...] = dataclasses.field(repr=False)
    pixels: tuple[int, ...]
    images: tuple[int, ...]
    ignored: int
    unreadable: tuple[str, ...]

    @property
    def absent(self) -> tuple[str, ...]:
        """Names of the classes that never occur."""
        return tuple(
            name for name, count in zip(self.classes, self.pixels, strict=True) if not count
        )

    @property
    def ignored_share(self) -> float:
        """Share of all pixels that is ignored, 0..1; 0 where nothing can be read."""
        return _share(self.ignored, self.ignored + sum(self.pixels))

    def shares(self) -> tuple[float, ...]:
        """Share of each class in the pixels that are not ignored, 0..1."""
        labelled = sum(self.pixels)
        return tuple(_share(count, labelled) for count in self.pixels)

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON knows it; sizes in pixels, shares in 0..1."""
        rows = zip(self.classes, self.pixels, self.shares(), self.images, strict=True)
        return {
            "examples": self.examples,
            "sizes": _size_summary(self.sizes),
            "classes": {
                name: {"pixels": pixels, "share": share, "images": images}
                for name, pixels, share, images in rows
            },
            "ignored": {"pixels": self.ignored, "share": self.ignored_share},
            "unreadable": list(self.unreadable),
        }


def survey(
    data: SegmentationData, seen: Callable[[int, Pair | None], None] = lambda index, pair: None
) -> Survey:
    """Reads every example of a split.

    Args:
        data: The split.
        seen: Called after each example with its index, and with what was read or None.

    Returns:
        The counts.
    """
    classes = len(data.classes)
    pixels, images = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    sizes: list[Size] = []
    unreadable: list[str] = []
    ignored = 0
    for index in range(len(data)):
        pair = None
        try:
            pair = data.read(index)
        except ValueError as error:
            unreadable.append(str(error))
        if pair is not None:
            counted = pair.label != data.ignore_label
            found = np.bincount(pair.label[counted], minlength=classes)
            pixels += found
            images += found > 0
            ignored += int(counted.size - counted.sum())
            sizes.append((pair.label.shape[0], pair.label.shape[1]))
        seen(index, pair)
    return Survey(
        data=data.name,
        split=data.split,
        classes=data.classes,
        examples=len(data),
        sizes=tuple(sizes),
        pixels=tuple(pixels.tolist()),
        images=tuple(images.tolist()),
        ignored=ignored,
        unreadable=tuple(unreadable),
    )


def check_classes(data: SegmentationData) -> None:
    """Checks that a split shows two classes to tell apart; reads examples until it has seen two.

    Raises:
        ValueError: It shows fewer, so that nothing can be learned; or an example cannot be read.
    """
    seen: set[int] = set()
    for index in range(len(data)):
        seen.update(np.unique(data.read(index).label).tolist())
        if len(seen - {data.ignore_label}) >= 2:
            return
    problem = no_two_classes(ignored=data.ignore_label in seen)
    raise ValueError(f"Data set {data.name}, split {data.split}: {problem}")


def no_two_classes(*, ignored: bool) -> str:
    """What is wrong with masks that show fewer than two classes, and what to do.

    Args:
        ignored: Whether they hold pixels that are ignored.
    """
    problem = "the masks hold no two classes to tell apart."
    if not ignored:
        return f"{problem} Give images that show at least two classes of classes.txt."
    return (
        f"{problem} Pixels of value 255 are ignored; if these masks are white on black, white is a "
        "class, and the command `data index-masks` makes masks of labels of them."
    )


def table(surveys: Sequence[Survey]) -> str:
    """The splits of one data set side by side, for a person to read.

    Of a class it shows the share of the pixels that are not ignored, and in how many of the images
    it occurs; a class that never occurs has a dash.

    Args:
        surveys: At least one, all with the same classes.
    """
    rows = [["", *(survey.split for survey in surveys)]]
    rows.append(["images", *(str(survey.examples) for survey in surveys)])
    rows.append(["unreadable", *(str(len(survey.unreadable)) for survey in surveys)])
    summaries = [_size_summary(survey.sizes) for survey in surveys]
    for side in ("height", "width"):
        rows.append([f"{side}: least, median, most", *(_three(s, side) for s in summaries)])
    rows.append(["different sizes", *(str(summary["different"]) for summary in summaries)])
    rows.append(["ignored pixels", *(f"{survey.ignored_share:.2%}" for survey in surveys)])
    rows.append(["class: pixels, images", *("" for _ in surveys)])
    for label, name in enumerate(surveys[0].classes):
        rows.append([f"  {label:>3} {name}", *(_occurrence(s, label) for s in surveys)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * len(surveys)), *lines[1:]])


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _size_summary(sizes: Sequence[Size]) -> dict[str, Any]:
    """Least, median and most of either side, and the number of different sizes."""
    if not sizes:
        return {"different": 0, "height": None, "width": None}
    heights, widths = zip(*sizes, strict=True)
    return {
        "different": len(set(sizes)),
        **{
            name: {"min": min(side), "median": statistics.median(side), "max": max(side)}
            for name, side in (("height", heights), ("width", widths))
        },
    }


def _three(summary: dict[str, Any], side: str) -> str:
    if summary[side] is None:
        return "-"
    return "  ".join(f"{summary[side][which]:g}" for which in ("min", "median", "max"))


def _occurrence(survey: Survey, label: int) -> str:
    if not survey.images[label]:
        return "-"
    return f"{survey.shares()[label]:7.2%} {survey.images[label]:>6}"
