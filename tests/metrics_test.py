"""Metrics: hand-made cases, loops over pixels, and the coverage of the intervals."""

import dataclasses
import json

import numpy as np
import pytest

from tfquantseg import metrics


def _random(images: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, (images, 6, 7)).astype(np.uint8)
    labels[rng.random(labels.shape) < 0.1] = 255
    right = rng.random(labels.shape) < 0.6
    return labels, np.where(right & (labels != 255), labels, rng.integers(0, classes, labels.shape))


def test_confusion_counts_each_pixel_once() -> None:
    labels, predictions = _random(3, 4, seed=0)
    expected = np.zeros((3, 4, 4), np.int64)
    for place, truth in np.ndenumerate(labels):
        if truth != 255:
            expected[place[0], truth, predictions[place]] += 1
    confusion = metrics.confusion_matrices(labels, predictions, 4)
    assert confusion.dtype == np.int64
    np.testing.assert_array_equal(confusion, expected)


def test_scores_of_a_hand_made_case() -> None:
    labels = [[[0, 0, 1, 1]], [[2, 2, 2, 255]]]
    predictions = [[[0, 1, 1, 1]], [[2, 2, 0, 3]]]
    scores = metrics.scores(metrics.confusion_matrices(labels, predictions, 5))
    # Over the set: class 0 has TP 1, FP 1, FN 1; class 1 TP 2, FP 1; class 2 TP 2, FN 1.
    # Class 3 was predicted at an ignored pixel only, class 4 is nowhere: neither has an IoU.
    assert scores.per_class_iou == pytest.approx((1 / 3, 2 / 3, 2 / 3, None, None))
    assert scores.miou == pytest.approx(5 / 9)
    # Per image: (1/2 + 2/3) / 2 in the first; 2/3 in the second, where class 0 is not in the truth.
    assert scores.miou_per_image == pytest.approx((7 / 12 + 2 / 3) / 2)
    assert scores.pixel_accuracy == pytest.approx(5 / 7)


def test_a_class_that_is_only_predicted_counts_as_zero() -> None:
    scores = metrics.scores(metrics.confusion_matrices([[[0, 0]]], [[[0, 1]]], 3))
    assert scores.per_class_iou == (0.5, 0.0, None)
    assert scores.miou == 0.25


def test_an_image_without_labelled_pixels_counts_nowhere() -> None:
    labels, predictions = _random(4, 3, seed=1)
    confusion = metrics.confusion_matrices(labels, predictions, 3)
    empty = np.zeros((1, 3, 3), np.int64)
    assert metrics.scores(np.concatenate([confusion, empty])) == metrics.scores(confusion)


def test_a_perfect_prediction_scores_one() -> None:
    labels, _ = _random(4, 3, seed=2)
    scores = metrics.scores(
        metrics.confusion_matrices(labels, np.where(labels < 255, labels, 0), 3)
    )
    assert scores == metrics.Scores(1.0, 1.0, 1.0, (1.0, 1.0, 1.0))


def test_scores_are_fit_for_json() -> None:
    scores = metrics.scores(metrics.confusion_matrices([[[0, 0]]], [[[0, 0]]], 2))
    assert json.loads(json.dumps(dataclasses.asdict(scores), allow_nan=False)) == {
        "miou": 1.0,
        "miou_per_image": 1.0,
        "pixel_accuracy": 1.0,
        "per_class_iou": [1.0, None],
    }


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([[[0, 3]]], [[[0, 0]]], r"label lies in 0\.\.3; accepted are 0\.\.2 and 255"),
        ([[[0, -1]]], [[[0, 0]]], r"label lies in -1\.\.0"),
        ([[[0, 0]]], [[[0, 3]]], r"prediction lies in 0\.\.3; accepted are 0\.\.2\."),
        ([[[0, 0]]], [[[0]]], r"\[1, 1, 2\] and predictions \[1, 1, 1\]"),
        ([[0, 0]], [[0, 0]], r"\[images, height, width\]"),
    ],
)
def test_what_is_no_class_is_refused(labels: list, predictions: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.confusion_matrices(labels, predictions, 3)


def test_a_set_without_labelled_pixels_has_no_score() -> None:
    with pytest.raises(ValueError, match="None of the 2 images has a labelled pixel"):
        metrics.scores(np.zeros((2, 3, 3), np.int64))


def test_bootstrap_draws_equal_a_loop() -> None:
    labels, predictions = _random(5, 3, seed=4)
    confusion = metrics.confusion_matrices(labels, predictions, 3)
    interval = metrics.bootstrap_miou(confusion, draws=200, level=0.9, seed=7)
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(7)))
    counts = rng.multinomial(5, np.full(5, 0.2), size=200)
    drawn = [metrics.scores(np.repeat(confusion, row, axis=0)).miou for row in counts]
    assert interval.estimate == metrics.scores(confusion).miou
    # The same counts divided in float64: equal but for the order of a mean of 3.
    np.testing.assert_allclose(
        (interval.low, interval.high), np.quantile(drawn, (0.05, 0.95)), rtol=1e-12
    )
    assert metrics.bootstrap_miou(confusion, draws=200, level=0.9, seed=7) == interval
    assert metrics.bootstrap_miou(confusion, draws=200, level=0.9, seed=8) != interval


def test_intervals_hold_what_they_promise() -> None:
    """Of 200 samples of 40 images, about 90 % have an interval that holds the true mIoU."""
    rng = np.random.default_rng(5)

    def sample(images: int) -> np.ndarray:
        hits = rng.binomial(100, rng.beta(8, 2, (images, 2)))
        return np.stack([np.stack([hits[:, 0], 100 - hits[:, 0]], 1),
                         np.stack([100 - hits[:, 1], hits[:, 1]], 1)], 1)  # fmt: skip

    truth = metrics.scores(sample(200_000)).miou
    intervals = [metrics.bootstrap_miou(sample(40), draws=300, level=0.9) for _ in range(200)]
    held = np.mean([interval.low <= truth <= interval.high for interval in intervals])
    # 200 draws at 0.9 have a deviation of 0.021; percentiles of 40 images fall short by about 0.01.
    assert 0.82 <= held <= 0.96


def test_pairing_cancels_what_is_hard_in_an_image() -> None:
    rng = np.random.default_rng(6)
    hits = rng.integers(10, 90, (30, 2))

    def run(hits: np.ndarray) -> np.ndarray:
        confusion = np.zeros((30, 2, 2), np.int64)
        confusion[:, (0, 1), (0, 1)] = hits
        confusion[:, (0, 1), (1, 0)] = 100 - hits
        return confusion

    better, worse = run(hits + 2), run(hits)
    interval = metrics.bootstrap_difference(better, worse, seed=1)
    assert interval.estimate == metrics.scores(better).miou - metrics.scores(worse).miou
    assert 0 < interval.low < interval.estimate < interval.high
    single = metrics.bootstrap_miou(better, seed=1)
    # Images differ by 80 pixels of 100, the runs by 2: the paired interval is far narrower.
    assert interval.high - interval.low < 0.1 * (single.high - single.low)
    same = metrics.bootstrap_difference(worse, worse)
    assert (same.low, same.estimate, same.high) == (0, 0, 0)


def test_runs_on_other_images_are_not_compared() -> None:
    first = metrics.confusion_matrices(*_random(4, 3, seed=1), 3)
    second = metrics.confusion_matrices(*_random(4, 3, seed=2), 3)
    with pytest.raises(ValueError, match="differ in their ground truth"):
        metrics.bootstrap_difference(first, second)


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_a_level_that_is_no_share_is_refused(level: float) -> None:
    confusion = metrics.confusion_matrices([[[0, 0]]], [[[0, 0]]], 2)
    with pytest.raises(ValueError, match=r"level=.*between 0 and 1"):
        metrics.bootstrap_miou(confusion, level=level)


@pytest.mark.parametrize("distance", [1, 2, 3])
def test_near_a_boundary_is_where_another_class_is_around(distance: int) -> None:
    rng = np.random.default_rng(distance)
    # Large regions, so that some pixels are far from every boundary.
    labels = np.kron(rng.integers(0, 3, (2, 3, 4)), np.ones((1, 5, 6), int)).astype(np.uint8)
    labels[rng.random(labels.shape) < 0.05] = 255
    kept = np.full(labels.shape, 255)
    height, width = labels.shape[1:]
    for (image, y, x), label in np.ndenumerate(labels):
        around = {
            labels[image, v, u]
            for v in range(max(0, y - distance), min(height, y + distance + 1))
            for u in range(max(0, x - distance), min(width, x + distance + 1))
        }
        if label != 255 and len(around - {255}) > 1:
            kept[image, y, x] = label
    assert 0 < (kept != 255).mean() < (labels != 255).mean()
    np.testing.assert_array_equal(metrics.near_boundary(labels, distance), kept)


def test_what_meets_ignored_pixels_only_is_no_boundary() -> None:
    labels = np.zeros((1, 6, 6), np.uint8)
    labels[:, :, 4:] = 255
    assert (metrics.near_boundary(labels, 2) == 255).all()


def test_the_inside_does_not_count_in_the_boundary_miou() -> None:
    labels = np.zeros((1, 20, 20), np.uint8)
    labels[:, :, 10:] = 1
    inside_wrong, edge_wrong = labels.copy(), labels.copy()
    inside_wrong[:, :, 0] = 1
    edge_wrong[:, :, 9] = 1
    kept = metrics.near_boundary(labels)
    mious = [
        metrics.scores(metrics.confusion_matrices(kept, guess, 2)).miou
        for guess in (inside_wrong, edge_wrong)
    ]
    # Columns 8 to 11 count; of the second prediction column 9 is wrong: IoU 1/2 and 2/3.
    assert mious == pytest.approx([1, (1 / 2 + 2 / 3) / 2])


@pytest.mark.parametrize(("labels", "distance"), [([[0, 1]], 2), ([[[0, 1]]], 0)])
def test_no_boundary_of_what_is_no_label_map(labels: object, distance: int) -> None:
    with pytest.raises(ValueError, match=f"distance={distance} are not accepted"):
        metrics.near_boundary(labels, distance)
