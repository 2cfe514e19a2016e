"""The kernel with which a transposed convolution interpolates bilinearly."""

import numpy as np


def bilinear_kernel(stride: int, channels: int) -> np.ndarray:
    """Makes the kernel of Long et al., arXiv:1411.4038: each channel is enlarged on its own.

    A tap at distance d from the centre, in input pixels, weighs 1 - |d|.

    Args:
        stride: factor of the enlargement, even; the kernel has 2 * stride taps a side.
        channels: number of input and output channels.

    Returns:
        float32 `[2 stride, 2 stride, channels, channels]`.
    """
    taps = 1 - np.abs(np.arange(2 * stride) - (stride - 0.5)) / stride
    return np.einsum("h,w,oi->hwoi", taps, taps, np.eye(channels)).astype(np.float32)
