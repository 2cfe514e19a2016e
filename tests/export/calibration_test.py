"""Scales measured on images, against what NumPy says of the same values."""

import keras
import numpy as np
import pytest

from tests.export import every_operation
from tfquantseg import preset, quantize
from tfquantseg.export.calibration import calibrate
from tfquantseg.export.certificate import certify
from tfquantseg.export.freeze import freeze
from tfquantseg.export.tflite import write_tflite
from tfquantseg.layers import QuantEdge, hold_scales
from tfquantseg.numerics import PERCENTILE

L = keras.layers


def _small() -> keras.Model:
    """Two convolutions whose outputs are tied by a concatenation, and one that reads it."""
    keras.utils.set_random_seed(5)
    image = keras.Input((None, None, 3))
    x = L.Rescaling(1 / 128, offset=-1)(image)
    left = L.Conv2D(4, 3, padding="same", name="left")(x)
    right = L.Conv2D(4, 3, padding="same", name="right", kernel_initializer="ones")(x)
    joined = L.Concatenate(name="join")([left, right])
    model = quantize(keras.Model(image, L.Conv2D(2, 1, name="last")(joined)), preset("INTEGER"))
    model(np.full((1, 8, 8, 3), 129.0, np.float32), training=True)
    return model


def _received(model: keras.Model, name: str, image: np.ndarray) -> np.ndarray:
    """The magnitudes that an edge's convolutions make of one image, in one row."""
    tensors = model.get_layer(name)._inbound_nodes[0].input_tensors
    # The running scale of the image's own edge is a constant, and nothing lies between.
    values = keras.Model(model.inputs, list(tensors))([image[np.newaxis].astype(np.float32)])
    return np.abs(np.concatenate([value.numpy().ravel() for value in values]))


def _tie(model: keras.Model) -> str:
    (name,) = [
        layer.name
        for layer in model.layers
        if isinstance(layer, QuantEdge) and len(layer.quantize_error) == 2
    ]
    return name


def test_max_is_the_largest_of_all_images_and_ties_share_it() -> None:
    model, images = _small(), every_operation.images(3)
    found = calibrate(model, images, "max")
    name = _tie(model)
    most = max(_received(model, name, image).max() for image in images)
    assert found[name] == most * (1 + 2.0**-18)
    estimated = [
        layer.name
        for layer in model.layers
        if isinstance(layer, QuantEdge) and layer.fixed_scale is None
    ]
    assert sorted(found) == sorted(estimated)
    hold_scales(model, found)
    network = freeze(model, *every_operation.SIZE)
    assert {tensor.step for tensor in network.edges[name]} == {
        float(np.float32(found[name]) / np.float32(127))
    }


def test_percentile_clips_one_in_ten_thousand() -> None:
    model, images = _small(), every_operation.images(3, (96, 96))
    name = _tie(model)
    values = np.concatenate([_received(model, name, image) for image in images])
    found = calibrate(model, images, "percentile")[name]
    assert found < values.max()
    # The histogram's bins are 2**-14 of the largest value wide, and its upper ends are taken.
    exact = np.percentile(values, PERCENTILE, method="inverted_cdf")
    assert exact <= found <= exact + 2 * values.max() / 2**14
    assert np.mean(values > found) <= 1 - PERCENTILE / 100


def test_the_model_stays_as_it_is() -> None:
    model, seen = _small(), []
    before = [variable.numpy() for variable in model.variables]
    images = every_operation.images(2)
    calibrate(model, images, "percentile", seen=lambda: seen.append(1))
    assert len(seen) == 2 * len(images)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    scales = {layer.evaluation_scales for layer in model.layers if isinstance(layer, QuantEdge)}
    assert scales == {"running"}


def test_nothing_is_clipped_while_it_is_measured() -> None:
    """An edge whose estimate is a hundredth of what it gets must not hide that from the next."""
    model, images = _small(), every_operation.images(1)
    found = calibrate(model, images, "max")
    hold_scales(model, {_tie(model): found[_tie(model)] / 100})
    assert calibrate(model, images, "max") == found


def test_no_ties_are_made_that_kernels_round_apart() -> None:
    image = keras.Input((16, 16, 1))
    x = L.LeakyReLU(0.25)(L.Rescaling(1 / 128, offset=-1)(image))
    model = quantize(keras.Model(image, x), preset("INTEGER"))
    for most in (40, 48, 98, 118):  # of 127 steps; a half of each is a tie on its 127th
        pixels = np.minimum(np.arange(256), 128 + most).astype(np.uint8).reshape(16, 16, 1)
        hold_scales(model, calibrate(model, [pixels], "max"))
        network = freeze(model, 16, 16)
        certificate = certify(network, model, write_tflite(network), [pixels])
        assert certificate.problems == () and certificate.micro_twin is not None


def test_an_edge_of_zeros_keeps_its_estimate() -> None:
    model = _small()
    for layer in ("left", "right"):
        kernel = model.get_layer(layer).kernel
        kernel.assign(np.zeros(kernel.shape))
    for method in ("max", "percentile"):
        assert _tie(model) not in calibrate(model, every_operation.images(1), method)


@pytest.mark.parametrize(
    ("made", "images", "method", "message"),
    [
        (_small, 1, "median", "method is 'median'; accepted are 'max' and 'percentile'"),
        (_small, 0, "max", "calibration needs at least one image"),
        (every_operation.float_model, 1, "max", "has no activation whose scale is estimated"),
    ],
)
def test_what_cannot_be_calibrated(made, images: int, method: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        calibrate(made(), every_operation.images(images), method)
