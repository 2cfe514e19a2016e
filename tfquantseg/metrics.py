"""Scores of a segmentation, and how certain they are.

Everything is computed from one confusion matrix an image, M[t, p] = number of pixels of class t
predicted as p, without the pixels that are to be ignored. For class i (arXiv:2011.14504, Eq 20)

    IoU_i = TP_i / (TP_i + FP_i + FN_i),

where TP_i = M[i, i], TP_i + FN_i = sum_p M[i, p] and TP_i + FP_i = sum_t M[t, i]. All scores are
fractions in 0..1.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

BOUNDARY = 2
"""Pixels from a boundary within which the boundary mIoU counts."""


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores over a set of images, fractions in 0..1.

    Args:
        miou: Mean of `per_class_iou` over the classes that have one.
        miou_per_image: For each image the mean IoU over the classes in its ground truth (Eq 20,
            21), averaged over the images that have a labelled pixel.
        pixel_accuracy: Share of the labelled pixels that are predicted correctly.
        per_class_iou: IoU of each class (Eq 20) from the counts of the whole set; None for a class
            that is neither in the ground truth nor predicted anywhere.
    """

    miou: float
    miou_per_image: float
    pixel_accuracy: float
    per_class_iou: tuple[float | None, ...]


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate, and how far it moves with another choice of images.

    Args:
        estimate: From the images as they are.
        low: Lower end of the interval.
        high: Upper end.
        level: Share of the drawn sets of images whose value lies between the two.
    """

    estimate: float
    low: float
    high: float
    level: float


def confusion_matrices(
    labels: npt.ArrayLike, predictions: npt.ArrayLike, classes: int, ignore: int = 255
) -> Counts:
    """Counts, for each image, how many pixels of each class were predicted as each class.

    Args:
        labels: Integers [N, H, W], classes 0..classes-1 or `ignore`.
        predictions: Integers [N, H, W], classes 0..classes-1.
        classes: Number of classes C.
        ignore: Label of the pixels that do not count, whatever is predicted there.

    Returns:
        int64 [N, C, C]: image, class in the ground truth, predicted class.

    Raises:
        ValueError: The shapes differ, or a label or prediction is not a class.
    """
    truth, guess = np.asarray(labels), np.asarray(predictions)
    if truth.shape != guess.shape or truth.ndim != 3:
        raise ValueError(
            f"labels {list(truth.shape)} and predictions {list(guess.shape)} are not accepted; "
            "both must be of one shape [images, height, width]."
        )
    images = len(truth)
    valid = truth != ignore
    which = np.broadcast_to(np.arange(images)[:, None, None], truth.shape)[valid]
    truth, guess = truth[valid].astype(np.int64), guess[valid].astype(np.int64)
    for name, values in (("label", truth), ("prediction", guess)):
        if values.size and not 0 <= values.min() <= values.max() < classes:
            raise ValueError(
                f"A {name} lies in {values.min()}..{values.max()}; accepted are 0..{classes - 1}"
                + (f" and {ignore} (ignore)." if name == "label" else ".")
            )
    cells = np.bincount((which * classes + truth) * classes + guess, minlength=images * classes**2)
    return cells.reshape(images, classes, classes).astype(np.int64)


def near_boundary(
    labels: npt.ArrayLike, distance: int = BOUNDARY, ignore: int = 255
) -> npt.NDArray[np.int64]:
    """Keeps the labels near a boundary of two classes, and ignores the others.

    A pixel stays where the square of (2 distance + 1) x (2 distance + 1) pixels around it holds
    another class of the ground truth than its own:

        max_{|u|, |v| <= distance} |label[y + u, x + v] - label[y, x]| > 0.

    The scores of what stays are those of the boundary: `scores(...).miou` of its confusion matrices
    is the boundary mIoU, in which the inside of regions, easy and most of an image, does not count.
    Where a class meets ignored pixels or the edge of the image is no boundary.

    Args:
        labels: Integers [N, H, W], classes from 0, or `ignore`.
        distance: Pixels, from 1.
        ignore: Label of the pixels that do not count.

    Returns:
        int64 [N, H, W], `ignore` where no boundary is near.

    Raises:
        ValueError: `labels` has another shape, or the distance is below 1.
    """
    truth = np.asarray(labels).astype(np.int64)
    if truth.ndim != 3 or distance < 1:
        raise ValueError(
            f"labels {list(truth.shape)} and distance={distance} are not accepted; give labels "
            "[images, height, width], and a distance of at least 1 pixel."
        )
    valid = truth != ignore
    # The least and the most of the classes around, in which an ignored pixel counts as neither.
    most = _around(np.where(valid, truth, np.iinfo(np.int64).min), distance, np.maximum)
    least = _around(np.where(valid, truth, np.iinfo(np.int64).max), distance, np.minimum)
    return np.where(valid & (most > least), truth, ignore)


def scores(confusion: Counts) -> Scores:
    """Computes the scores of a set of images.

    Args:
        confusion: int64 [images, C, C], from `confusion_matrices`.

    Returns:
        mIoU over the set and per image, pixel accuracy, and the IoU of each class.

    Raises:
        ValueError: No pixel is labelled, so that no score is defined.
    """
    hits, truth, union = _parts(_labelled(confusion))
    present = truth > 0
    image_iou = np.where(present, hits, 0) / np.maximum(union, 1)
    iou = _iou(hits.sum(0), union.sum(0))
    return Scores(
        miou=float(np.nanmean(iou)),
        miou_per_image=float((image_iou.sum(1) / present.sum(1)).mean()),
        pixel_accuracy=float(hits.sum() / truth.sum()),
        per_class_iou=tuple(None if np.isnan(value) else float(value) for value in iou),
    )


def bootstrap_miou(
    confusion: Counts, *, draws: int = 2000, level: float = 0.95, seed: int = 0
) -> Interval:
    """How far the mIoU over the set would move with another choice of images.

    Draws as many images as there are, with replacement, `draws` times, and takes the percentiles
    (1 - level) / 2 and (1 + level) / 2 of the mIoU.

    Args:
        confusion: int64 [images, C, C], from `confusion_matrices`.
        draws: Number of sets drawn.
        level: Share of the drawn sets that the interval holds.
        seed: Of the draws.

    Returns:
        The mIoU over the set, and its interval.

    Raises:
        ValueError: No pixel is labelled.
    """
    confusion = _labelled(confusion)
    drawn = _drawn_miou(confusion, _draws(len(confusion), draws, seed))
    return _interval(scores(confusion).miou, drawn, level)


def bootstrap_difference(
    first: Counts, second: Counts, *, draws: int = 2000, level: float = 0.95, seed: int = 0
) -> Interval:
    """How far mIoU(first) - mIoU(second) would move with another choice of images.

    The draws are paired: each takes the same images for both, so that what is hard in an image,
    hard for both, cancels.

    Args:
        first: int64 [images, C, C] of one run.
        second: The same of another run on the same images in the same order.
        draws: Number of sets drawn.
        level: Share of the drawn sets that the interval holds.
        seed: Of the draws.

    Returns:
        The difference of the two mIoU, and its interval.

    Raises:
        ValueError: The two do not have the same ground truth, or no pixel is labelled.
    """
    if first.shape != second.shape or (first.sum(2) != second.sum(2)).any():
        raise ValueError(
            f"The runs {list(first.shape)} and {list(second.shape)} differ in their ground truth; "
            "accepted are two runs on the same images in the same order."
        )
    first, second = _labelled(first), _labelled(second)
    counts = _draws(len(first), draws, seed)
    drawn = _drawn_miou(first, counts) - _drawn_miou(second, counts)
    return _interval(scores(first).miou - scores(second).miou, drawn, level)


def _around(values: Counts, distance: int, of_two: np.ufunc) -> Counts:
    """The largest or smallest value in the square around each pixel, one axis after the other."""
    for axis in (1, 2):
        line = np.moveaxis(values, axis, 0)
        found = line.copy()
        for step in range(1, distance + 1):
            found[step:] = of_two(found[step:], line[:-step])
            found[:-step] = of_two(found[:-step], line[step:])
        values = np.moveaxis(found, 0, axis)
    return values


def _labelled(confusion: Counts) -> Counts:
    """Leaves out the images without a labelled pixel."""
    labelled = confusion[confusion.any((1, 2))]
    if not len(labelled):
        raise ValueError(
            f"None of the {len(confusion)} images has a labelled pixel, so that no score is "
            "defined; accepted is at least one. Is every label the ignore label?"
        )
    return labelled


def _parts(confusion: Counts) -> tuple[Counts, Counts, Counts]:
    """Hits (TP), truth (TP + FN) and union (TP + FP + FN) of each image and class, [images, C]."""
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    truth = confusion.sum(2)
    return hits, truth, truth + confusion.sum(1) - hits


def _iou(hits: Floats | Counts, union: Floats | Counts) -> Floats:
    """Intersection over union, NaN for a class neither in the ground truth nor predicted."""
    return np.divide(hits, union, out=np.full(hits.shape, np.nan), where=union > 0)


def _draws(images: int, draws: int, seed: int) -> Floats:
    """How often each image is drawn, [draws, images]; each row sums to `images`."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
    return rng.multinomial(images, np.full(images, 1 / images), size=draws).astype(np.float64)


def _drawn_miou(confusion: Counts, counts: Floats) -> Floats:
    """The mIoU of each drawn set, [draws]."""
    hits, _, union = _parts(confusion)
    # The products are in float64, where counts of pixels are exact: int64 has no fast product.
    return np.asarray(np.nanmean(_iou(counts @ hits, counts @ union), axis=1))


def _interval(estimate: float, drawn: Floats, level: float) -> Interval:
    if not 0 < level < 1:
        raise ValueError(f"level={level} is not accepted; give a share between 0 and 1.")
    low, high = np.quantile(drawn, ((1 - level) / 2, (1 + level) / 2))
    return Interval(estimate, float(low), float(high), level)
