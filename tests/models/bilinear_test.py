"""The bilinear kernel against values by hand and against interpolation."""

import keras
import numpy as np
import pytest

from tfquantseg.models.bilinear import bilinear_kernel


def test_taps_of_stride_2() -> None:
    taps = np.array([0.25, 0.75, 0.75, 0.25])
    kernel = bilinear_kernel(2, 3)
    assert kernel.shape == (4, 4, 3, 3)
    for i in range(3):
        for j in range(3):
            np.testing.assert_array_equal(kernel[..., i, j], np.outer(taps, taps) * (i == j))


@pytest.mark.parametrize("stride", [2, 8])
def test_transposed_convolution_equals_bilinear_interpolation_inside(stride: int) -> None:
    x = np.random.default_rng(0).normal(size=(1, 5, 6, 2)).astype(np.float32)
    kernel = bilinear_kernel(stride, 2)
    enlarged = keras.ops.conv_transpose(x, kernel, strides=stride, padding="same")
    expected = keras.layers.UpSampling2D(stride, interpolation="bilinear")(x)
    # The interpolation repeats the image at its border, the convolution pads it with zeros.
    inside = (slice(None), slice(stride, -stride), slice(stride, -stride))
    # Sums of four products of numbers near 1 in float32.
    np.testing.assert_allclose(np.asarray(enlarged)[inside], expected[inside], atol=1e-6)
