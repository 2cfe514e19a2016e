"""Networks of keras.applications with a light head, from float layers to a certified file.

Their weights are random and their batch norms calibrated on photographs, so that the grids of all
layers are used: what is shown is that every layer has its plan and its form in a file.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from tests.export.whole_way import L, certified, on_grid
from tfquantseg.export.network import Network, Resize
from tfquantseg.export.twin import compute_all

_SIZE = 64
_LEVELS = 32
# Small, since errors grow on their way up through random layers: after one step at 2^-6 the
# statistics of batch norm no longer fit the weights of the deep ones, and gates saturate.
_RATE = 2.0**-16
# Of each network its convolutions, the head's included.
_NETWORKS: dict[str, tuple[Callable[..., keras.Model], dict[str, Any], int]] = {
    "VGG16": (keras.applications.VGG16, {}, 14),
    "ResNet50": (keras.applications.ResNet50, {}, 54),
    "ResNet50V2": (keras.applications.ResNet50V2, {}, 54),
    "DenseNet121": (keras.applications.DenseNet121, {}, 121),
    "MobileNetV2": (keras.applications.MobileNetV2, {"alpha": 0.35}, 53),
    "MobileNetV3Small": (keras.applications.MobileNetV3Small, {}, 53),
    "EfficientNetB0": (keras.applications.EfficientNetB0, {}, 82),
}
# These scale bytes themselves.
_TAKES_BYTES = {"MobileNetV3Small", "EfficientNetB0"}


def _photographs() -> np.ndarray:
    """32 parts of scikit-learn's photographs, halved: uint8 [32, 64, 64, 3]."""
    parts = [
        photo[y : y + 2 * _SIZE : 2, x : x + 2 * _SIZE : 2]
        for photo in load_sample_images().images
        for y in (100, 0, 200, 290)
        for x in (40, 400, 240, 510)
    ]
    return np.stack(parts)


def _segmenter(name: str, images: np.ndarray) -> keras.Model:
    """The network without its top, and logits of three classes of the image's size."""
    keras.utils.clear_session()  # the same names, whatever was built before, and the same draws
    keras.utils.set_random_seed(0)
    make, options, _ = _NETWORKS[name]
    image = keras.Input((_SIZE, _SIZE, 3), name="image")
    begin = on_grid(image, "grid")
    if name in _TAKES_BYTES:
        begin = L.Rescaling(128.0, offset=128.0, name="bytes")(begin)
    features = make(weights=None, include_top=False, input_tensor=begin, **options).output
    logits = L.Conv2D(3, 1, name="logits")(features)
    logits = L.Resizing(_SIZE, _SIZE, interpolation="bilinear", name="resized")(logits)
    model = keras.Model(image, logits, name=name)
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization):
            layer.momentum = 0.0  # the statistics of the next batch as they are
        elif isinstance(layer, L.Dropout):
            layer.rate = 0.0  # which would be in the statistics, and not in the evaluation
    model(images.astype(np.float32), training=True)
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization):
            layer.momentum = 0.99
    return model


def _fewest_levels(network: Network, image: np.ndarray) -> tuple[int, str]:
    """The fewest integers that occur in a tensor of at least a thousand values, and its name."""
    made = compute_all(network, image)
    return min((len(np.unique(n)), name) for name, n in made.items() if n.size >= 1000)


@pytest.mark.parametrize("name", _NETWORKS)
def test_a_network_goes_all_the_way(name: str) -> None:
    images = _photographs()
    model = _segmenter(name, images)
    found = certified(model, [images[:2]], steps=1, rate=_RATE, calibrated=True)
    assert len([one for one in found.network.convolutions if one.layer]) == _NETWORKS[name][2]
    levels, narrowest = _fewest_levels(found.network, images[0])
    assert levels >= _LEVELS, narrowest
    # A resize is the kernel's own: its ratios have 10 bits.
    layers = [one for one in found.certificate.layers if one.operation != Resize.__name__]
    worst = max(layers, key=lambda layer: (layer.most, layer.share))
    print(
        f"{name}: worst {worst.operation} {worst.name}, {worst.most} step(s) on {worst.share:.2%}; "
        f"file and twin {found.certificate.file_twin.most} steps apart; fewest levels {levels}, of "
        f"{narrowest}"
    )
