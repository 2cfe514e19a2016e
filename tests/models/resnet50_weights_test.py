"""Pretrained weights of ResNet-50, from files made here: the function stays the same."""

import pathlib

import keras
import numpy as np
import pytest

from tfquantseg.models import Preprocessing, deeplabv3_resnet50, resnet50, resnet50_weights

_APPLICATIONS = {"v1": keras.applications.ResNet50, "v2": keras.applications.ResNet50V2}
# What the models here do to an image: it leaves no difference at zero-padded borders.
_SAME = Preprocessing(order="rgb", mean=(128.0,) * 3, deviation=(128.0,) * 3)


def _pretrained(version: str) -> keras.Model:
    """A model of keras.applications as if it had been trained: nothing is 0 or 1."""
    keras.utils.set_random_seed(4)
    model = _APPLICATIONS[version](weights=None, include_top=False)
    random = np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            layer.set_weights(
                [
                    random.uniform(0.5, 1.0, shape),
                    random.normal(0, 0.2, shape),
                    random.normal(0, 0.2, shape),
                    # Small ones tell whether epsilon's change is made good.
                    random.uniform(0.001, 1.0, shape),
                ]
            )
        elif isinstance(layer, keras.layers.Conv2D) and layer.use_bias:
            layer.bias.assign(random.normal(0, 0.2, layer.bias.shape))
    return model


def _encoder(version: str) -> keras.Model:
    image = keras.Input((None, None, 3))
    return keras.Model(image, resnet50.features(image, version=version, output_stride=32))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("encoders")


@pytest.mark.parametrize(("version", "suffix"), [("v1", "weights.h5"), ("v2", "keras")])
def test_the_encoder_computes_what_the_pretrained_model_does(
    folder: pathlib.Path, version: str, suffix: str
) -> None:
    pretrained = _pretrained(version)
    path = folder / f"{version}.{suffix}"
    (pretrained.save_weights if suffix == "weights.h5" else pretrained.save)(path)
    encoder = _encoder(version)
    resnet50_weights.load(encoder, str(path), version=version, preprocessing=_SAME)
    image = np.random.default_rng(6).uniform(-1, 1, (1, 64, 96, 3)).astype(np.float32)
    expected = pretrained(image)
    # Float32's rounding, 50 layers deep, against the largest feature.
    largest = np.abs(expected).max()
    np.testing.assert_allclose(encoder(image) / largest, expected / largest, atol=1e-5)


def test_the_preprocessing_of_keras_applications_is_the_default(folder: pathlib.Path) -> None:
    pretrained = _pretrained("v1")
    path = folder / "default.weights.h5"
    pretrained.save_weights(path)
    encoder = _encoder("v1")
    resnet50_weights.load(encoder, str(path), version="v1")
    pixels = np.random.default_rng(7).integers(0, 256, (1, 64, 64, 3)).astype(np.float32)
    first = keras.Model(encoder.input, encoder.get_layer("conv1_bn").output)
    theirs = keras.Model(pretrained.input, pretrained.get_layer("conv1_bn").output)
    expected = theirs(keras.applications.resnet.preprocess_input(pixels.copy()))
    # 7 x 7 windows at stride 2 that see no padding: from the second on.
    inside = np.s_[:, 2:-2, 2:-2]
    np.testing.assert_allclose(
        first(pixels / 128 - 1)[inside], expected[inside], rtol=1e-4, atol=1e-3
    )


def test_what_the_preprocessing_enlarges_fits_the_limits_of_the_paper(
    folder: pathlib.Path,
) -> None:
    path = folder / "paper.weights.h5"
    pretrained, random = _pretrained("v1"), np.random.default_rng(8)
    norm = pretrained.get_layer("conv1_bn")  # of images of 0..255, of which nothing is divided
    norm.moving_mean.assign(random.normal(0, 50, norm.moving_mean.shape))
    norm.moving_variance.assign(random.uniform(1e3, 1e4, norm.moving_variance.shape))
    pretrained.save_weights(path)
    encoder = _encoder("v1")
    resnet50_weights.load(encoder, str(path), version="v1")
    # On images of -1..1 the weights are 128 times as large, before scale is moved.
    assert 128 * np.abs(pretrained.get_layer("conv1_conv").kernel).max() > 5
    assert 0.05 < np.abs(encoder.get_layer("conv1_conv").kernel).max() <= 127 / 128
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            deviation = np.sqrt(layer.moving_variance.numpy() + layer.epsilon)
            assert max(np.abs(layer.moving_mean).max(), deviation.max()) < 2, layer.name


def test_a_small_network_takes_no_pretrained_weights(folder: pathlib.Path) -> None:
    path = folder / "small.weights.h5"
    _pretrained("v1").save_weights(path)
    with pytest.raises(ValueError, match=r"conv1_conv has a kernel .* need width 64"):
        deeplabv3_resnet50(3, width=4, encoder=str(path))


def test_bad_sources_are_named(folder: pathlib.Path) -> None:
    model = _encoder("v1")
    with pytest.raises(ValueError, match="neither 'imagenet' nor a file"):
        resnet50_weights.load(model, str(folder / "none.h5"), version="v1")
    broken = folder / "broken.weights.h5"
    broken.write_bytes(b"no HDF5")
    with pytest.raises(ValueError, match=r"broken.weights.h5' does not hold the weights of .*50"):
        resnet50_weights.load(model, str(broken), version="v1")
    other = folder / "other.keras"
    image = keras.Input((8, 8, 3))
    keras.Model(image, keras.layers.Conv2D(1, 1)(image)).save(other)
    with pytest.raises(ValueError, match=r"other.keras' has no layer 'conv1_conv'"):
        resnet50_weights.load(model, str(other), version="v1")


def test_bad_preprocessings_are_named(folder: pathlib.Path) -> None:
    model = _encoder("v1")
    with pytest.raises(ValueError, match="'imagenet' knows its preprocessing"):
        resnet50_weights.load(model, "imagenet", version="v1", preprocessing="caffe")
    with pytest.raises(ValueError, match="Unknown preprocessing 'cafe'"):
        resnet50_weights.load(model, str(folder), version="v1", preprocessing="cafe")
