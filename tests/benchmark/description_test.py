"""A network that is described and built again computes the same."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest

from tfquantseg import models
from tfquantseg.benchmark import description

SIZE = (32, 48)


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The peers' module that builds networks, with Keras 3 in tf_keras's place.

    What of the two APIs is used here is the same in both; tf_keras is not in our lock.
    """
    monkeypatch.setitem(sys.modules, "tf_keras", keras)
    file = Path(description.__file__).parent / "peers" / "tf_keras_networks.py"
    spec = importlib.util.spec_from_file_location("tf_keras_networks", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ours_of_other_layers() -> keras.Model:
    """The layers that none of the project's networks has."""
    image = keras.Input((*SIZE, 3))
    x = keras.layers.Rescaling(1 / 128, offset=-1)(image)
    x = keras.layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x)
    x = keras.layers.Activation("relu")(keras.layers.AveragePooling2D(2)(x))
    return keras.Model(image, keras.layers.Conv2DTranspose(3, 2, strides=2)(x))


@pytest.mark.parametrize(
    "model",
    [
        lambda: models.residual_unet(3, width=2, input_size=SIZE),
        lambda: models.fcn8s_vgg16(3, fc_width=4, input_size=SIZE),
        lambda: models.deeplabv3_resnet50(3, width=2, input_size=SIZE),
        lambda: models.efficientnet_lite0(3, width=4, input_size=SIZE),
        lambda: ours_of_other_layers(),
    ],
    ids=["residual_unet", "fcn8s_vgg16", "deeplabv3_resnet50", "efficientnet_lite0", "others"],
)
def test_a_network_built_again_computes_the_same(
    model: object, peers: ModuleType, tmp_path: Path
) -> None:
    original = model()
    body = description.without_rescaling(original)
    description.write(body, tmp_path)
    again = peers.build(str(tmp_path), batch=2)
    bytes_ = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3)).astype(np.float32)
    expected = original(bytes_)
    # The same kernels on the same values, all but the resize of DeepLab's pooled 1 x 1 feature.
    np.testing.assert_allclose(again((bytes_ - 128) / 128), expected, rtol=1e-4, atol=1e-5)
    assert again.input_shape == (2, *SIZE, 3)


def test_a_network_of_any_size_is_described_at_one(peers: ModuleType, tmp_path: Path) -> None:
    original = models.residual_unet(3, width=2)
    description.write(description.without_rescaling(original), tmp_path, SIZE)
    assert peers.build(str(tmp_path), batch=2).input_shape == (2, *SIZE, 3)
    assert peers.build(str(tmp_path), 1, [64, 96]).input_shape == (1, 64, 96, 3)


def test_images_are_rescaled_as_the_network_does() -> None:
    bytes_ = np.array([[0, 128, 255]], np.uint8)
    rescaled = description.rescaled(models.residual_unet(3, width=2), bytes_)
    assert rescaled.dtype == np.float32
    assert rescaled.tolist() == [[-1, 0, 127 / 128]]


def test_a_layer_without_a_row_is_named() -> None:
    image = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(1 / 128, offset=-1)(image)
    model = keras.Model(image, keras.layers.Softmax(name="odd")(x))
    with pytest.raises(ValueError, match="'odd' is a Softmax; described are Activation, Add"):
        description.describe(description.without_rescaling(model))


def test_a_model_that_does_not_rescale_is_refused() -> None:
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.ReLU()(image), name="bare")
    with pytest.raises(ValueError, match="'bare' begins with ReLU; accepted is a Rescaling"):
        description.without_rescaling(model)
