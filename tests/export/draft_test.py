"""What is known of a file before training, against the file of the trained model."""

from collections.abc import Callable

import keras
import numpy as np
import pytest

from tests.export import every_operation
from tfquantseg import models, preset, quantize
from tfquantseg.export import draft, freeze, graph_of, preflight, write_tflite
from tfquantseg.export.network import Network


def _report(network: Network) -> dict:
    return preflight(graph_of(write_tflite(network), name="a")).as_json()


def _deeplab() -> keras.Model:
    return models.build("deeplabv3_resnet50", classes=5, width=4)


@pytest.mark.parametrize("made", [every_operation.float_model, _deeplab])
def test_the_report_is_that_of_the_trained_model(made: Callable[[], keras.Model]) -> None:
    size = (32, 48)
    trained = quantize(made(), preset("INTEGER"))
    random = np.random.default_rng(3)
    trained(random.integers(0, 256, (2, *size, 3)).astype(np.float32), training=True)
    for layer in trained.layers:
        if getattr(layer, "bias", None) is not None:  # as the first update leaves them
            layer.bias.assign(random.normal(0, 0.1, layer.bias.shape))
    untrained = quantize(made(), preset("INTEGER"))
    report = _report(draft(untrained, *size))
    assert report == _report(freeze(trained, *size))
    assert report["operators"]


def test_a_bias_counts_before_it_is_learned() -> None:
    """A transposed convolution with a bias is another version, which the compiler can't read."""
    image = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 128, offset=-1)(image)
    for use_bias, version in ((True, 3), (False, 2)):
        y = keras.layers.Conv2DTranspose(4, 2, strides=2, padding="same", use_bias=use_bias)(x)
        report = _report(draft(quantize(keras.Model(image, y), preset("INTEGER")), 8, 8))
        assert [one["version"] for one in report["operators"]] == [version]
        assert report["ok"] is not use_bias


def test_what_no_file_can_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="computes in float32"):
        draft(every_operation.float_model(), *every_operation.SIZE)
    with pytest.raises(ValueError, match="PAPER_FCN keeps some activations off 8-bit grids"):
        draft(quantize(every_operation.float_model(), preset("PAPER_FCN")), *every_operation.SIZE)
