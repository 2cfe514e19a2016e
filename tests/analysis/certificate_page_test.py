"""The page that people read, and the picture."""

import dataclasses

import numpy as np
import pytest

from tests.training.tiny import data
from tfquantseg.analysis.certificate_page import Frozen, Scores, page, picture
from tfquantseg.export.certificate import Agreement, Certificate, Layer, Weights
from tfquantseg.metrics import Interval

SAME = Agreement(0, 0.0, 1.0)
CERTIFICATE = Certificate(
    images=20,
    weights=(Weights("stem", 1728, True, 1, 0),),
    layers=(Layer("stem", "Convolution", 1, 0.0004),),
    file_twin=SAME,
    micro_twin=None,
    graph_twin=Agreement(3, 0.25, 0.995),
    default_twin=Agreement(2, 0.125, 0.9975),
    micro_why_not="it lacks an operation",
)
SCORES = Scores(
    "made val",
    40,
    0.49,
    0.495,
    0.5,
    0.501,
    0.497,
    Interval(0.001, -0.0005, 0.0025, 0.95),
    Interval(-0.003, -0.004, 0.002, 0.95),
)
RUNNING = Frozen("running", 100, 1300)


def test_the_page_says_what_was_compared() -> None:
    lines = page(
        CERTIFICATE, SCORES, RUNNING, name="unet", size=(96, 128), sha256="ab12"
    ).splitlines()
    assert lines[0] == "# Certificate of model_int8.tflite: unet, 96 x 128"
    assert "SHA-256 of the file: ab12" in lines
    assert "Every promise is kept." in lines
    assert "| file, LiteRT's reference kernels | 0 | 0.00% | 100.00% |" in lines
    assert "| file, tflite-micro | not run: it lacks an operation | | |" in lines
    assert "| model, Keras in float32 | 3 | 25.00% | 99.50% |" in lines
    assert "| | mIoU | less frozen model (95% of resampled image sets), points |" in lines
    assert "| trained model, Keras, each image's own activation scales | 49.00% | |" in lines
    assert "| trained model, Keras, running scales | 49.50% | |" in lines
    assert "| frozen model, Keras | 50.00% | |" in lines
    assert "| file, LiteRT's reference kernels | 50.10% | +0.10 (-0.05 to +0.25) |" in lines
    row = "| file, LiteRT's default kernels (XNNPACK) | 49.70% | -0.30 (-0.40 to +0.20) |"
    assert lines.index(row) + 2 == lines.index(
        "The reference kernels stand for tflite-micro on a microcontroller (compared in the table "
        "above, where it was run), the default kernels for the CPU of a phone or computer; a "
        "Coral's Edge TPU may compute other integers than both, which was not measured."
    )
    assert "| stem | 1,728 | yes | 1 | 0 |" in lines
    assert "| stem | Convolution | 1 | 0.040% |" in lines


def test_broken_promises_stand_at_the_top() -> None:
    weights = (dataclasses.replace(CERTIFICATE.weights[0], equal=False),)
    broken = dataclasses.replace(CERTIFICATE, weights=weights)
    shown = page(broken, SCORES, RUNNING, name="unet", size=(96, 128), sha256="ab12")
    head = shown.split("## Whole images")[0]
    assert "Promises are broken:" in head
    assert "- stem: its weights in the file are not the integers of training." in head
    assert "| stem | 1,728 | NO | 1 | 0 |" in shown


@pytest.mark.parametrize(
    ("frozen", "sentence"),
    [
        (
            RUNNING,
            "Activation steps: the running estimates of training. Weights: the integers of "
            "training after step 100 of 1,300.",
        ),
        (
            Frozen("max", 1300, 1300, "made train", 8),
            "Activation steps: the largest value over 8 images of made train. Weights: the "
            "integers of training after step 1,300 of 1,300.",
        ),
        (
            Frozen("percentile", 100, 1300, "made train", 8, 99.99, 20),
            "Activation steps: the 99.99th percentile of the magnitudes over 8 images of made "
            "train. Weights: the integers that 20 more steps of training after step 100 of 1,300 "
            "ended with, at these constant activation steps; they are not those of the checkpoint.",
        ),
    ],
)
def test_the_page_says_how_the_model_was_frozen(frozen: Frozen, sentence: str) -> None:
    shown = page(CERTIFICATE, SCORES, frozen, name="unet", size=(96, 128), sha256="ab12")
    assert sentence in shown.splitlines()
    assert f"the integer of {frozen.weights_of}, times" in shown


def test_json_says_how_the_model_was_frozen() -> None:
    assert Frozen("percentile", 100, 1300, "made train", 8, 99.99, 20).as_json() == {
        "step": 100,
        "training_steps": 1300,
        "weights_of": "fine-tuning",
        "activation_steps": {
            "method": "percentile",
            "split": "made train",
            "images": 8,
            "percentile": 99.99,
            "fine_tuning_steps": 20,
        },
    }
    assert RUNNING.as_json()["weights_of"] == "training"


def test_json_has_the_scores_in_fractions() -> None:
    as_json = SCORES.as_json()
    assert (as_json["miou_dynamic"], as_json["miou_running"]) == (0.49, 0.495)
    assert (as_json["miou_graph"], as_json["miou_twin"], as_json["miou_tflite"]) == (
        0.5,
        0.501,
        0.497,
    )
    assert as_json["miou_twin_difference"] == {
        "estimate": 0.001,
        "low": -0.0005,
        "high": 0.0025,
        "level": 0.95,
    }
    assert as_json["miou_tflite_difference"]["estimate"] == -0.003


def test_pixels_that_differ_are_marked() -> None:
    image = np.full((32, 32, 3), 100, np.uint8)
    of_model = np.zeros((32, 32), np.int64)
    of_file = of_model.copy()
    of_file[:8] = 1
    shown = np.asarray(picture([("a", image, of_model, of_file)], data([[[0, 1]]])).convert("RGB"))
    magenta = np.all(shown == (255, 0, 255), axis=-1)
    # A quarter of one of three tiles of 288 x 288 pixels.
    assert abs(np.count_nonzero(magenta) - 288 * 288 / 4) < 288 * 10
