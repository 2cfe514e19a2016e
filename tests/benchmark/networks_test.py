"""The networks that are measured."""

import keras
import pytest

from tfquantseg.benchmark import networks
from tfquantseg.policy import presets
from tfquantseg.transform import count_convolutions


def test_the_ten_convolutions_are_ten_and_score_at_full_size() -> None:
    model = networks.ten_convolutions((32, 48))
    assert model.output_shape == (None, 32, 48, networks.CLASSES)
    kernels = [
        layer.kernel.shape for layer in model.layers if isinstance(layer, keras.layers.Conv2D)
    ]
    assert kernels == [(3, 3, 3, 32), *[(3, 3, 32, 32)] * 9, (1, 1, 32, networks.CLASSES)]


@pytest.mark.parametrize("name", networks.names())
def test_every_network_has_its_size_and_the_papers_preset(name: str) -> None:
    network = networks.network(name)
    model = network.build(network.size)
    assert model.output_shape == (None, *network.size, networks.CLASSES)
    assert count_convolutions(model) > 10
    assert network.paper in presets()


def test_an_unknown_network_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"network 'fcn8_vgg16'.*Did you mean 'fcn8s_vgg16'\?"):
        networks.network("fcn8_vgg16")
