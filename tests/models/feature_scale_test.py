"""Features of a pretrained encoder at a root mean square of 1."""

import keras
import numpy as np
import pytest

from tfquantseg.models import feature_scale, vgg16_weights


def _random(scale: float, seed: int = 0) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """VGG16 with MSRA's weights times a factor, and biases."""
    random = np.random.default_rng(seed)
    weights = {}
    for name, shape in vgg16_weights.shapes().items():
        deviation = scale * np.sqrt(2 / (9 * shape[2]))
        kernel = random.standard_normal(shape, np.float32) * np.float32(deviation)
        weights[name] = (kernel, random.standard_normal(shape[3], np.float32) * np.float32(0.1))
    return weights


def _pools(weights: vgg16_weights.Weights, image: np.ndarray) -> list[np.ndarray]:
    x = keras.ops.convert_to_tensor(image[np.newaxis] / 128 - 1)
    pools = []
    for number, filters in enumerate(vgg16_weights.BLOCKS, 1):
        for index in range(1, len(filters) + 1):
            kernel, bias = weights[f"conv{number}_{index}"]
            x = keras.ops.relu(keras.ops.conv(x, kernel, padding="same") + bias)
        x = keras.ops.max_pool(x, 2, 2)
        pools.append(np.asarray(x))
    return pools


def test_noise_has_the_statistics_of_photographs() -> None:
    image = feature_scale.natural_noise(0)
    assert image.shape == (192, 192, 3)
    assert image.dtype == np.float32
    assert image.min() >= 0
    assert image.max() <= 255
    # 128 and 64 before clipping at 0 and 255, two deviations away, where 5 % of the pixels are.
    assert abs(image.mean() - 128) < 6
    assert 54 < image.std() < 64
    # Amplitude 1/f: power falls by 4 from one octave to the next; the average of a ring of
    # hundreds of frequencies is good to about a tenth, clipping adds some white noise.
    power = np.abs(np.fft.fft2(image[..., 0] - image[..., 0].mean())) ** 2
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(192)] * 2)) * 192
    octaves = [power[(frequency >= f) & (frequency < 2 * f)].mean() for f in (8, 16, 32)]
    assert 3 < octaves[0] / octaves[1] < 5
    assert 2.5 < octaves[1] / octaves[2] < 5
    np.testing.assert_array_equal(image, feature_scale.natural_noise(0))
    assert np.corrcoef(image[..., 0].ravel(), image[..., 2].ravel())[0, 1] > 0.8


def test_pools_become_1_and_stay_the_same_up_to_a_factor() -> None:
    weights = _random(scale=2.0)
    image = feature_scale.natural_noise(7)
    before = _pools(weights, image)
    after = _pools(feature_scale.unit_pools(weights, seed=7), image)
    for original, rescaled in zip(before, after, strict=True):
        scale = np.sqrt(np.mean(original**2))
        assert scale > 2
        # Float32 through at most 13 layers, each of sums of up to 4,608 terms.
        np.testing.assert_allclose(rescaled, original / scale, rtol=0, atol=1e-4)
        assert np.sqrt(np.mean(rescaled**2)) == pytest.approx(1, rel=1e-5)


def test_the_weights_given_are_not_changed() -> None:
    weights = _random(scale=1.0)
    copies = {name: (kernel.copy(), bias.copy()) for name, (kernel, bias) in weights.items()}
    feature_scale.unit_pools(weights, seed=0)
    for name, (kernel, bias) in copies.items():
        np.testing.assert_array_equal(weights[name][0], kernel)
        np.testing.assert_array_equal(weights[name][1], bias)


def test_features_that_are_all_zero_are_left_alone() -> None:
    weights = {
        name: (np.zeros(shape, np.float32), np.zeros(shape[3], np.float32))
        for name, shape in vgg16_weights.shapes().items()
    }
    for kernel, bias in feature_scale.unit_pools(weights, seed=0).values():
        assert not kernel.any()
        assert not bias.any()
