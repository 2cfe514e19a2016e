"""The light DeepLab on EfficientNet-Lite0: sizes, structure, and what it refuses."""

import keras
import numpy as np
import pytest

from tfquantseg.models import build, efficientnet_lite0


def _image(height: int, width: int) -> np.ndarray:
    drawn = np.random.default_rng(0).integers(0, 256, (1, height, width, 3))
    return drawn.astype(np.float32)


def test_logits_have_the_size_of_the_image() -> None:
    model = efficientnet_lite0(5, width=8)
    for size in ((64, 96), (32, 48)):
        assert model(_image(*size)).shape == (1, *size, 5)


def test_odd_sizes_are_padded_and_cropped() -> None:
    model = efficientnet_lite0(3, width=8, input_size=(45, 70))
    assert model(_image(45, 70)).shape == (1, 45, 70, 3)


def test_the_pyramid_has_three_dilations_and_the_decoder_one_skip() -> None:
    model = efficientnet_lite0(3, width=8, input_size=(64, 64))
    rates = [model.get_layer(f"aspp_rate{rate}").dilation_rate for rate in (1, 3, 6)]
    assert rates == [(1, 1), (3, 3), (6, 6)]
    assert [x.shape[1:] for x in model.get_layer("decode_join").input] == [(8, 8, 8), (8, 8, 32)]
    encoder = [layer.name.startswith(("stem", "block")) for layer in model.layers]
    new = [layer.name.startswith(("aspp", "skip", "decode", "logits")) for layer in model.layers]
    others = [
        layer.name for layer, a, b in zip(model.layers, encoder, new, strict=True) if not (a or b)
    ]
    assert others == ["image", "grid", "enlarge"]


def test_the_encoder_is_that_of_the_package() -> None:
    model = build("efficientnet_lite0", classes=3, width=8, encoder="imagenet_lite0")
    random = build("efficientnet_lite0", classes=3, width=8)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            pretrained = layer.name.startswith(("stem", "block"))
            other = np.asarray(random.get_layer(layer.name).kernel)
            assert (np.asarray(layer.kernel) != other).any() == pretrained, layer.name


def test_the_same_seed_gives_the_same_weights() -> None:
    first, same, other = (efficientnet_lite0(3, width=8, seed=seed) for seed in (1, 1, 2))
    for a, b in zip(first.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [np.asarray(model.get_layer("stem").kernel) for model in (first, other)]
    assert (kernels[0] != kernels[1]).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": 1}, "classes must be an integer of at least 2"),
        ({"classes": 3, "width": 0}, "width must be an integer of at least 1"),
        ({"classes": 3, "encoder": "imagenet"}, "neither 'imagenet_lite0' nor the path"),
        ({"classes": 3, "input_size": (16, 64)}, "input_size's height must be"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        efficientnet_lite0(**arguments)
