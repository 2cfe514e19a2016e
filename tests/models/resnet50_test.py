"""ResNet-50: its sizes, and that dilations compute what strides would."""

import itertools

import keras
import numpy as np
import pytest

from tfquantseg.models import resnet50


def _encoder(version: str, output_stride: int, width: int = 2) -> keras.Model:
    image = keras.Input((None, None, 3))
    features = resnet50.features(
        image,
        version=version,
        width=width,
        output_stride=output_stride,
        seeds=itertools.count(7),
    )
    return keras.Model(image, features)


def _with_statistics(model: keras.Model) -> keras.Model:
    """Gives every batch norm weights and statistics that are not those of a new layer."""
    random = np.random.default_rng(3)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights(
                [
                    random.uniform(0.5, 1.5, gamma.shape),
                    random.normal(0, 0.3, beta.shape),
                    random.normal(0, 0.3, mean.shape),
                    random.uniform(0.5, 1.5, variance.shape),
                ]
            )
    return model


@pytest.mark.parametrize("version", resnet50.VERSIONS)
@pytest.mark.parametrize("output_stride", resnet50.OUTPUT_STRIDES)
def test_features_have_the_output_stride(version: str, output_stride: int) -> None:
    features = _encoder(version, output_stride)(np.zeros((1, 64, 96, 3), np.float32))
    assert features.shape == (1, 64 // output_stride, 96 // output_stride, 64)


@pytest.mark.parametrize("version", resnet50.VERSIONS)
@pytest.mark.parametrize("output_stride", [8, 16])
def test_dilations_compute_what_strides_do(version: str, output_stride: int) -> None:
    strided = _with_statistics(_encoder(version, 32))
    dilated = _encoder(version, output_stride)
    dilated.set_weights(strided.get_weights())
    image = np.random.default_rng(1).normal(size=(2, 96, 64, 3)).astype(np.float32)
    step = 32 // output_stride
    # Kernels add in another order: float32's rounding, 50 layers deep.
    np.testing.assert_allclose(
        dilated(image)[:, ::step, ::step], strided(image), rtol=1e-4, atol=1e-4
    )


def test_there_are_53_convolutions_and_only_pre_activation_has_biases() -> None:
    for version, biases in (("v1", 0), ("v2", 21)):
        convolutions = [
            layer
            for layer in _encoder(version, 16).layers
            if isinstance(layer, keras.layers.Conv2D)
        ]
        assert len(convolutions) == 53
        # v2: the first, and in each of 16 units the last and in 4 the projection.
        assert sum(layer.use_bias for layer in convolutions) == biases


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("version", "v3", "version must be one of v1, v2, got 'v3'"),
        ("output_stride", 4, "output_stride must be one of 8, 16, 32, got 4"),
    ],
)
def test_unknown_choices_are_refused(name: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resnet50.features(keras.Input((64, 64, 3)), **{name: value})  # type: ignore[arg-type]
