"""DeepLabv3: sizes, structure, and what it refuses."""

import keras
import numpy as np
import pytest

from tfquantseg.models import build, deeplabv3_resnet50


def _image(height: int, width: int) -> np.ndarray:
    drawn = np.random.default_rng(0).integers(0, 256, (1, height, width, 3))
    return drawn.astype(np.float32)


@pytest.mark.parametrize(("output_stride", "version"), [(8, "v1"), (16, "v2")])
def test_logits_have_the_size_of_the_image(output_stride: int, version: str) -> None:
    model = deeplabv3_resnet50(5, width=2, output_stride=output_stride, version=version)
    for size in ((64, 96), (32, 48)):
        assert model(_image(*size)).shape == (1, *size, 5)


def test_odd_sizes_are_padded_and_cropped() -> None:
    model = deeplabv3_resnet50(3, width=2, input_size=(45, 70))
    assert model(_image(45, 70)).shape == (1, 45, 70, 3)


def test_the_pyramid_has_five_branches() -> None:
    model = deeplabv3_resnet50(3, width=2, output_stride=8)
    branches = [tensor.shape[-1] for tensor in model.get_layer("aspp_join").input]
    assert branches == [8] * 5
    rates = [model.get_layer(f"aspp_rate{rate}").dilation_rate for rate in (6, 12, 18)]
    assert rates == [(12, 12), (24, 24), (36, 36)]
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(convolutions) == 53 + 5 + 1 + 1


def test_the_same_seed_gives_the_same_weights() -> None:
    first, same, other = (
        build("deeplabv3_resnet50", classes=3, width=1, seed=s) for s in (1, 1, 2)
    )
    for a, b in zip(first.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (np.asarray(first.layers[3].kernel) != np.asarray(other.layers[3].kernel)).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": 1}, "classes must be an integer of at least 2"),
        ({"classes": 3, "width": 0}, "width must be an integer of at least 1"),
        ({"classes": 3, "output_stride": 32}, "output_stride must be 8 or 16, got 32"),
        ({"classes": 3, "version": "v3"}, "version must be one of v1, v2, got 'v3'"),
        ({"classes": 3, "preprocessing": "caffe"}, "belongs to an encoder's weights"),
        ({"classes": 3, "input_size": (16, 64)}, "input_size's height must be"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        deeplabv3_resnet50(**arguments)
