"""The numerics written plainly in NumPy: float64 for the grids, int64 loops for the convolutions.

Slow and readable; the tests compare `tfquantseg.numerics` with it.
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np

Pair = tuple[int, int]


def half_up(x: np.ndarray) -> np.ndarray:
    """Returns floor(x + 1/2); in float64 the floor is right for every float32."""
    return np.floor(np.asarray(x, np.float64) + 0.5)


def half_away(x: np.ndarray) -> np.ndarray:
    """Returns sign(x) * floor(|x| + 1/2)."""
    return np.sign(x) * half_up(np.abs(x))


def uniform(x: np.ndarray, bits: int, limit: float | np.ndarray = 1.0) -> np.ndarray:
    """Returns L * Clip(Delta * floor(x / L / Delta + 1/2), -1 + Delta, 1 - Delta) (Eq 2, 14)."""
    delta = 2.0 ** (1 - bits)
    x = np.asarray(x, np.float64) / limit
    return limit * np.clip(delta * half_up(x / delta), -1 + delta, 1 - delta)


def scale_quantized(x: np.ndarray, bits: int) -> np.ndarray:
    """Returns Scale(x) * UQ(x / Scale(x), k) (Eq 3, 4)."""
    scale = np.max(np.abs(np.asarray(x, np.float64)))
    return scale * uniform(np.asarray(x, np.float64) / scale, bits)


def scale_encoded(x: np.ndarray, bits: int, step: str, rounding=half_up) -> tuple:
    """Returns (integers, step), the quotient and its multiple rounded to float32 on the way."""
    x = np.asarray(x, np.float32)
    most = 2 ** (bits - 1) - 1
    divisor = most + (1 if step == "max/128" else 0)
    scale = np.max(np.abs(x))
    ratio = x / scale * np.float32(divisor)
    integers = np.clip(rounding(ratio), -most, most).astype(np.int64)
    return integers, np.float32(np.float64(scale) / divisor)


def before_and_size(size: int, kernel: int, stride: int, dilation: int, padding: str) -> Pair:
    """Returns (the pixels of padding before, the output's size) along one axis."""
    extent = (kernel - 1) * dilation + 1
    if padding == "VALID":
        return 0, math.ceil((size - extent + 1) / stride)
    out = math.ceil(size / stride)
    return max((out - 1) * stride + extent - size, 0) // 2, out


def output_size(size: Pair, kernel: Pair, strides: Pair, padding: str, dilations: Pair) -> Pair:
    """Returns H', W' of a convolution."""
    axes = zip(size, kernel, strides, dilations, strict=True)
    vertical, horizontal = (before_and_size(*axis, padding)[1] for axis in axes)
    return vertical, horizontal


def taps(
    size: Pair, kernel: Pair, strides: Pair, padding: str, dilations: Pair
) -> Iterator[tuple[Pair, Pair, Pair]]:
    """Yields (output pixel, kernel position, input pixel) wherever the input pixel exists."""
    (top, height), (left, width) = (
        before_and_size(*axis, padding)
        for axis in zip(size, kernel, strides, dilations, strict=True)
    )
    ranges = map(range, (height, width, *kernel))
    for i, j, u, v in itertools.product(*ranges):
        y = i * strides[0] - top + u * dilations[0]
        x = j * strides[1] - left + v * dilations[1]
        if 0 <= y < size[0] and 0 <= x < size[1]:
            yield (i, j), (u, v), (y, x)


def products(
    kind: str,
    a: np.ndarray,
    w: np.ndarray,
    e: np.ndarray | None,
    *,
    strides: Pair = (1, 1),
    padding: str = "SAME",
    dilations: Pair = (1, 1),
    size: Pair | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the int64 sums (output, input gradient, weight gradient) of one convolution.

    Args:
        kind: "conv2d", "depthwise" or "transposed".
        a: integers [N, H, W, in].
        w: integers [H, W, in, out], [H, W, in, multiplier] or [H, W, out, in].
        e: integers of the error, of the output's shape; None for zeros.
        strides: vertical and horizontal.
        padding: "SAME" or "VALID".
        dilations: vertical and horizontal.
        size: H', W' of a transposed convolution.
    """
    a, w = a.astype(np.int64), w.astype(np.int64)
    geometry = (w.shape[:2], strides, padding, dilations)
    transposed = kind == "transposed"
    large = size if transposed else a.shape[1:3]
    outputs = {"conv2d": w.shape[3], "transposed": w.shape[2]}.get(kind, w[0, 0].size)
    out = size if transposed else output_size(large, *geometry)
    y = np.zeros((len(a), *out, outputs), np.int64)
    e = np.zeros_like(y) if e is None else e.astype(np.int64)
    to_a, to_w = np.zeros_like(a), np.zeros_like(w)
    for small_pixel, tap, large_pixel in taps(large, *geometry):
        p, q = (large_pixel, small_pixel) if transposed else (small_pixel, large_pixel)
        at_out, at_in = (slice(None), *p), (slice(None), *q)
        if kind == "depthwise":
            error = e[at_out].reshape(len(a), *w[tap].shape)
            y[at_out] += (a[at_in][:, :, None] * w[tap]).reshape(len(a), -1)
            to_a[at_in] += (error * w[tap]).sum(axis=2)
            to_w[tap] += (a[at_in][:, :, None] * error).sum(axis=0)
        elif transposed:
            y[at_out] += a[at_in] @ w[tap].T
            to_a[at_in] += e[at_out] @ w[tap]
            to_w[tap] += e[at_out].T @ a[at_in]
        else:
            y[at_out] += a[at_in] @ w[tap]
            to_a[at_in] += e[at_out] @ w[tap].T
            to_w[tap] += a[at_in].T @ e[at_out]
    return y, to_a, to_w
