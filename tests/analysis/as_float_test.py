"""The float network of a quantized one computes the same, but for rounding."""

import keras
import numpy as np
import pytest

from tests.analysis import small_float
from tfquantseg.analysis.as_float import copy_masters
from tfquantseg.policy import preset
from tfquantseg.transform import quantize

IMAGES = small_float.batches(1)[0][0]


@pytest.mark.parametrize("policy", ["INTEGER", "INTEGER norm=l2"])
def test_back_and_forth_gives_the_network_again(policy: str) -> None:
    model = small_float.model()
    for variable in model.get_layer("stem_bn").variables:
        variable.assign(np.linspace(0.5, 1.5, 8, dtype=np.float32))
    other = small_float.model()
    for layer in other.layers:
        layer.set_weights([0 * weight + 0.1 for weight in layer.get_weights()])
    copy_masters(quantize(model, preset(policy)), other)
    for layer in (one for one in model.layers if one.weights):
        for weight, received in zip(
            layer.get_weights(), other.get_layer(layer.name).get_weights(), strict=True
        ):
            # Masters lie on grids of 24 bits, of a limit of at most 16.
            np.testing.assert_allclose(received, weight, rtol=1e-5, atol=2e-6)


def test_a_bias_that_was_dropped_is_zero() -> None:
    model, other = small_float.model(), small_float.model()
    model.get_layer("middle").bias.assign(np.ones(8, np.float32))
    other.get_layer("middle").bias.assign(np.ones(8, np.float32))
    copy_masters(quantize(model, preset("INTEGER bias=dropped")), other)
    assert not other.get_layer("middle").bias.numpy().any()


def test_another_network_is_refused() -> None:
    quantized = quantize(small_float.model(), preset("INTEGER"))
    image = keras.Input((16, 16, 3))
    odd = keras.Model(image, keras.layers.Conv2D(3, 1, name="odd")(image))
    with pytest.raises(ValueError, match="'odd' of the float network has no layer of its name"):
        copy_masters(quantized, odd)
    wide = keras.Model(image, keras.layers.Conv2D(4, 1, name="logits")(image))
    with pytest.raises(ValueError, match="'logits' has other weights in 'small_float'"):
        copy_masters(quantized, wide)
