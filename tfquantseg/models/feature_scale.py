"""Gives the features of a pretrained encoder the size that new layers expect, without a data set.

New layers are initialised for inputs of a root mean square near 1 (He et al., arXiv:1502.01852),
and a pretrained encoder's features have any size: VGG16's after pool5 are near 10 with the weights
`hed`, and may be several hundred. So the encoder looks once at an image with natural statistics,
Gaussian noise with an amplitude spectrum of 1/f (Field, "Relations between the statistics of
natural images and the response properties of cortical cells", 1987), and its features are divided
by what was measured. With `hed` that is 17, 4.9 and 10 after pool3, pool4 and pool5; on CamVid's
street scenes it is 16, 4.9 and 14.
"""

import keras
import numpy as np

from tfquantseg.models.vgg16_weights import BLOCKS, Weights

_SIDE = 192  # pixels: 6 x 6 positions after pool5
_MEAN, _DEVIATION = 128.0, 64.0  # of the image's bytes
_SHARED = 0.9  # of the variance is common to the three channels, as in photographs


def natural_noise(seed: int) -> np.ndarray:
    """Draws a colour image of 1/f noise.

    Returns:
        float32 `[192, 192, 3]`, values 0..255.
    """
    random = np.random.default_rng(seed)
    grey = _pink(random)
    channels = [np.sqrt(_SHARED) * grey + np.sqrt(1 - _SHARED) * _pink(random) for _ in range(3)]
    return np.clip(_MEAN + _DEVIATION * np.stack(channels, -1), 0, 255).astype(np.float32)


def unit_pools(weights: Weights, seed: int) -> Weights:
    """Rescales VGG16 so that its features have a root mean square of 1 after each pooling.

    The last convolution before a pooling is divided by the scale s of its features, kernel and
    bias, and the first one after it is multiplied by s: as ReLU and pooling are positively
    homogeneous, each feature map is the original one divided by its s.

    Args:
        weights: kernel and bias of `conv1_1` to `conv5_3`, for an input (u - 128) / 128.
        seed: of the noise.

    Returns:
        The same layers, rescaled. Features that are all zero are left as they are.
    """
    x = keras.ops.convert_to_tensor(natural_noise(seed)[np.newaxis] / 128 - 1)
    rescaled = {}
    before = 1.0
    for number, filters in enumerate(BLOCKS, 1):
        names = [f"conv{number}_{index}" for index in range(1, len(filters) + 1)]
        for name in names:
            kernel, bias = weights[name]
            x = keras.ops.relu(keras.ops.conv(x, kernel, padding="same") + bias)
        x = keras.ops.max_pool(x, 2, 2)
        rescaled.update({name: weights[name] for name in names})
        kernel, bias = rescaled[names[0]]
        rescaled[names[0]] = (kernel * np.float32(before), bias)
        before = float(keras.ops.sqrt(keras.ops.mean(keras.ops.square(x)))) or 1.0
        kernel, bias = rescaled[names[-1]]
        rescaled[names[-1]] = (kernel / np.float32(before), bias / np.float32(before))
    return rescaled


def _pink(random: np.random.Generator) -> np.ndarray:
    """Draws Gaussian noise of amplitude spectrum 1/f, mean 0 and deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(_SIDE)[:, np.newaxis], np.fft.rfftfreq(_SIDE))
    frequency[0, 0] = np.inf
    white = random.standard_normal((2, *frequency.shape))
    noise = np.fft.irfft2((white[0] + 1j * white[1]) / frequency, (_SIDE, _SIDE))
    return noise / noise.std()
