"""DeepLabV3Plus of keras-cv on two backbones, from float layers to a certified file."""

from collections.abc import Callable

import keras
import keras_cv
import pytest

from tests.export.whole_way import L, certified, on_grid
from tfquantseg.export.functions import Softmax
from tfquantseg.export.network import Resize

_SIZE = 64


def _resnet() -> keras.Model:
    return keras_cv.models.ResNetBackbone(
        stackwise_filters=[8, 8, 8, 8],
        stackwise_blocks=[1, 1, 1, 1],
        stackwise_strides=[1, 2, 2, 2],
        include_rescaling=True,
        input_shape=(_SIZE, _SIZE, 3),
    )


def _efficientnet_lite() -> keras.Model:
    """One block a stage; its pyramid has the five levels that DeepLabV3Plus asks for."""
    return keras_cv.models.EfficientNetLiteBackbone(
        stackwise_kernel_sizes=[3, 3, 5, 3, 5],
        stackwise_num_repeats=[1, 2, 1, 1, 1],
        stackwise_input_filters=[32, 8, 8, 8, 16],
        stackwise_output_filters=[8, 8, 8, 16, 16],
        stackwise_expansion_ratios=[1, 4, 4, 4, 4],
        stackwise_strides=[1, 2, 2, 2, 2],
        width_coefficient=1.0,
        depth_coefficient=1.0,
        include_rescaling=True,
        input_shape=(_SIZE, _SIZE, 3),
    )


# Of each network its convolutions: the backbone's, and 9 of pyramid pooling, decoder and head.
_BACKBONES: dict[str, tuple[Callable[[], keras.Model], int]] = {
    "ResNet": (_resnet, 26),
    "EfficientNetLite": (_efficientnet_lite, 28),
}


def _deeplab(name: str) -> keras.Model:
    """The network on bytes that were put on the grid, and are put back for its own Rescaling."""
    keras.utils.clear_session()  # the same names, whatever was built before, and the same draws
    keras.utils.set_random_seed(0)
    backbone = _BACKBONES[name][0]()
    deeplab = keras_cv.models.DeepLabV3Plus(num_classes=3, backbone=backbone)
    image = keras.Input((_SIZE, _SIZE, 3), name="image")
    pixels = L.Rescaling(128.0, offset=128.0, name="bytes")(on_grid(image, "grid"))
    return keras.Model(image, deeplab(pixels), name=name)


@pytest.mark.parametrize("name", _BACKBONES)
def test_deeplab_goes_all_the_way(name: str) -> None:
    found = certified(_deeplab(name), steps=1, calibrated=True)
    assert len([one for one in found.network.convolutions if one.layer]) == _BACKBONES[name][1]
    operations = found.network.operations
    # A softmax ends it; image pooling is resized, then two enlargements by 8 and 4.
    assert isinstance(operations[-1], Softmax)
    assert sum(isinstance(one, Resize) for one in operations) == 3
    layers = [one for one in found.certificate.layers if one.operation != Resize.__name__]
    worst = max(layers, key=lambda layer: (layer.most, layer.share))
    print(f"{name}: worst {worst.operation} {worst.name}, {worst.most} on {worst.share:.2%}")
