"""Scores, their table and their JSON."""

from pathlib import Path

import keras
import numpy as np
import pytest

from tests.training import tiny
from tfquantseg import metrics, transform
from tfquantseg.layers import QuantEdge
from tfquantseg.models import residual_unet
from tfquantseg.policy import INTEGER
from tfquantseg.training.checkpoints import Checkpoint
from tfquantseg.training.evaluation import Evaluation, Evaluator, load_model


def _threshold() -> keras.Model:
    """Logits of class 0 and 1: 50 and the red value, so that red 100 is class 1."""
    image = keras.Input((None, None, 3))
    logits = keras.layers.Conv2D(2, 1, name="logits")
    model = keras.Model(image, logits(image))
    kernel = np.zeros((1, 1, 3, 2), np.float32)
    kernel[0, 0, 0, 1] = 1
    logits.set_weights([kernel, np.array([50, 0], np.float32)])
    return model


def _evaluated(labels: list[list[list[int]]], **sizes: object) -> Evaluation:
    config = tiny.config()
    config.data.update({"multiple": 4, "batch": 2, **sizes})
    return Evaluator(_threshold(), tiny.data(labels), config).evaluate(step=5)


def test_a_perfect_prediction_scores_one_whatever_the_padding() -> None:
    # 3 x 5 pads to 4 x 8; mid-grey padding would be predicted as class 1, and counts nowhere.
    evaluation = _evaluated([[[0, 1, 1, 0, 255]] * 3] * 3)
    assert evaluation.scores.miou == 1
    assert evaluation.scores.miou_per_image == 1
    assert evaluation.scores.pixel_accuracy == 1
    assert evaluation.scores.per_class_iou == (1, 1)


def test_each_pixel_of_the_image_counts_once() -> None:
    config = tiny.config()
    config.data.update({"multiple": 4, "batch": 2})
    data = tiny.data([[[0, 1, 1, 0, 255]] * 3, [[1, 1, 1, 1, 1]] * 3, [[0, 0, 0, 0, 255]] * 3])
    counts = Evaluator(_threshold(), data, config).counts()
    np.testing.assert_array_equal(counts, [[[6, 0], [0, 6]], [[0, 0], [0, 15]], [[12, 0], [0, 0]]])


def test_the_boundary_miou_counts_near_boundaries_only() -> None:
    config = tiny.config()
    config.data.update({"multiple": 4, "batch": 2})
    # The model sees ignored pixels as class 0; the third class is never predicted.
    line = [2, 2, 2, 2, 2, 0, 0, 1, 1, 1, 1, 1]
    evaluator = Evaluator(_threshold(), tiny.data([[line] * 3], classes=3), config)
    # Within 2 pixels: 2 2 0 0 1 1, of which red 200 is predicted as class 1.
    assert evaluator.boundary_miou() == pytest.approx((1 + 2 / 4 + 0) / 3)
    assert Evaluator(_threshold(), tiny.data([[[0] * 4] * 4]), config).boundary_miou() is None


def test_a_sheet_shows_image_truth_and_prediction_of_the_first_examples() -> None:
    data = tiny.data([[[0, 1] * 16] * 32] * 3)
    sheet = Evaluator(_threshold(), data, tiny.config()).sheet(most=2)
    tiles = np.asarray(sheet)[10:266, 10:]  # the first row, below the margin
    image, truth, prediction = (tiles[:, 266 * i : 266 * i + 256] for i in range(3))
    np.testing.assert_array_equal(np.unique(image[..., 0]), [0, 100])  # without smoothing
    np.testing.assert_array_equal(truth, prediction)  # a perfect one
    assert (truth != image).any()
    # Two rows of tiles of 256 pixels with their captions, and the legend.
    assert sheet.width == 3 * 266 + 10 and 2 * 286 < sheet.height < 2 * 286 + 80


def test_the_interval_is_that_of_choosing_other_images() -> None:
    # Red 200, class 2, is taken for class 1: the first image scores 0, the second 1, both 1/4. A
    # quarter of the drawn pairs are the first image twice, and a quarter the second.
    config = tiny.config()
    data = tiny.data([[[2] * 8] * 8, [[1] * 8] * 8], classes=3)
    evaluation = Evaluator(_threshold(), data, config).evaluate(step=5)
    assert evaluation.scores.miou == 0.25
    assert evaluation.miou_interval == metrics.Interval(0.25, 0.0, 1.0, 0.95)


def test_json_holds_fractions_by_name() -> None:
    as_json = _evaluated([[[0, 1, 1, 0]] * 4]).as_json()
    assert as_json == {
        "data": "made",
        "split": "val",
        "images": 1,
        "classes": ("class0", "class1"),
        "step": 5,
        "scales": None,
        "miou": 1.0,
        "miou_per_image": 1.0,
        "pixel_accuracy": 1.0,
        "miou_interval": {"estimate": 1.0, "low": 1.0, "high": 1.0, "level": 0.95},
        "per_class_iou": {"class0": 1.0, "class1": 1.0},
    }


def test_the_table_says_what_was_evaluated_and_how() -> None:
    lines = _evaluated([[[0, 0, 0, 0]] * 4]).table().splitlines()
    assert lines[0] == "made val, 1 images, after step 5"
    assert lines[2] == (
        "mIoU            100.00%  (95% of resampled image sets: 100.00% to 100.00%)"
    )
    assert lines[-2].split() == ["class0", "100.00%"]
    assert lines[-1].split() == ["class1", "-"]  # nowhere in labels or predictions


def test_the_scales_that_are_asked_for_are_used() -> None:
    model = transform.quantize(residual_unet(2, width=1), INTEGER)
    edges = [layer for layer in model.layers if isinstance(layer, QuantEdge)]
    data = tiny.data([[[0] * 8] * 8])
    evaluation = Evaluator(model, data, tiny.config(), "dynamic").evaluate(0)
    assert {edge.evaluation_scales for edge in edges} == {"dynamic"}
    assert evaluation.scales == "dynamic"
    assert evaluation.table().startswith(
        "made val, 1 images, after step 0, dynamic activation scales\n"
    )
    with pytest.raises(ValueError, match="received 'static'"):
        Evaluator(model, data, tiny.config(), "static")  # type: ignore[arg-type]


def test_a_damaged_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(b"PK")
    with pytest.raises(ValueError, match=f"Checkpoint {tmp_path} is damaged"):
        load_model(Checkpoint(tmp_path, 1, None))
