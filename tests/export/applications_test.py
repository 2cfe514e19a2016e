"""Networks of keras.applications with a light head, from float layers to a certified file.

Their weights are random: what is shown is that every layer has its plan and its form in a file.
"""

from collections.abc import Callable

import keras
import pytest

from tests.export.whole_way import L, certified, on_grid

_SIZE = 64
# Of each network its convolutions, the head's included.
_NETWORKS: dict[str, tuple[Callable[..., keras.Model], dict, int]] = {
    "VGG16": (keras.applications.VGG16, {}, 14),
    "ResNet50": (keras.applications.ResNet50, {}, 54),
    "ResNet50V2": (keras.applications.ResNet50V2, {}, 54),
    "DenseNet121": (keras.applications.DenseNet121, {}, 121),
    "MobileNetV2": (keras.applications.MobileNetV2, {"alpha": 0.35}, 53),
}


def _segmenter(name: str) -> keras.Model:
    """The network without its top, and logits of three classes of the image's size."""
    keras.utils.set_random_seed(0)
    make, options, _ = _NETWORKS[name]
    image = keras.Input((_SIZE, _SIZE, 3), name="image")
    features = make(
        weights=None, include_top=False, input_tensor=on_grid(image, "grid"), **options
    ).output
    logits = L.Conv2D(3, 1, name="logits")(features)
    logits = L.Resizing(_SIZE, _SIZE, interpolation="bilinear", name="resized")(logits)
    return keras.Model(image, logits, name=name)


@pytest.mark.parametrize("name", _NETWORKS)
def test_a_network_goes_all_the_way(name: str) -> None:
    found = certified(_segmenter(name), steps=1, batch=1)
    assert len([one for one in found.network.convolutions if one.layer]) == _NETWORKS[name][2]
    resizes = {"Resize"}  # their ratios of 10 bits are the kernels' own
    worst = max(
        (layer for layer in found.certificate.layers if layer.operation not in resizes),
        key=lambda layer: (layer.most, layer.share),
    )
    print(
        f"{name}: worst {worst.operation} {worst.name}, {worst.most} step(s) on {worst.share:.2%}; "
        f"file and twin {found.certificate.file_twin.most} steps apart"
    )
