"""EfficientNet-Lite0's encoder: its sizes, and that dilations compute what strides would."""

import itertools

import keras
import numpy as np
import pytest

from tfquantseg.models import lite0_encoder


def _encoder(output_stride: int) -> keras.Model:
    image = keras.Input((None, None, 3))
    features = lite0_encoder.features(image, output_stride=output_stride, seeds=itertools.count(7))
    return keras.Model(image, [features.fine, features.coarse])


def _with_statistics(model: keras.Model) -> keras.Model:
    """Gives every batch norm weights and statistics that are not those of a new layer."""
    random = np.random.default_rng(3)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            layer.set_weights(
                [
                    random.uniform(0.5, 1.5, shape),
                    random.normal(0, 0.3, shape),
                    random.normal(0, 0.3, shape),
                    random.uniform(0.5, 1.5, shape),
                ]
            )
    return model


@pytest.mark.parametrize("output_stride", lite0_encoder.OUTPUT_STRIDES)
def test_features_have_their_strides(output_stride: int) -> None:
    fine, coarse = _encoder(output_stride)(np.zeros((1, 64, 96, 3), np.float32))
    assert fine.shape == (1, 8, 12, 40)
    assert coarse.shape == (1, 64 // output_stride, 96 // output_stride, 320)


def test_dilations_compute_what_strides_do() -> None:
    strided = _with_statistics(_encoder(32))
    dilated = _encoder(16)
    dilated.set_weights(strided.get_weights())
    image = np.random.default_rng(1).normal(size=(2, 96, 64, 3)).astype(np.float32)
    expected = np.asarray(strided(image)[1])
    # Kernels add in another order: float32's rounding, 48 layers deep, of values near 1.
    np.testing.assert_allclose(dilated(image)[1][:, 1::2, 1::2], expected, rtol=1e-4, atol=1e-4)


def test_there_are_48_convolutions_and_9_shortcuts() -> None:
    layers = _encoder(16).layers
    convolutions = [x for x in layers if isinstance(x, keras.layers.Conv2D)]
    depthwise = [x for x in layers if isinstance(x, keras.layers.DepthwiseConv2D)]
    assert (len(convolutions), len(depthwise)) == (32, 16)
    assert not any(layer.use_bias for layer in convolutions + depthwise)
    assert sum(isinstance(layer, keras.layers.Add) for layer in layers) == 9


def test_another_output_stride_is_refused() -> None:
    with pytest.raises(ValueError, match="output_stride must be one of 16, 32, got 8"):
        lite0_encoder.features(keras.Input((64, 64, 3)), output_stride=8)
