"""The twin: what a file must compute, in integers only, readable and slow.

Each operation is computed as LiteRT's reference kernel computes it. Kernels count bytes from their
zero points before they multiply or add, but average and resize them as they are: that matters to
how ties round. Sums of products are taken in
float64, whose 53 bits hold every integer that occurs: a kernel of 4,608 taps sums to 2**26.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tfquantseg.export.fixed_point import Integers, averaged, scaled
from tfquantseg.export.network import (
    Add,
    ArgMax,
    Concatenate,
    Convolution,
    Crop,
    Mean,
    Network,
    Operation,
    Pad,
    Pool,
    Repeat,
    Requantize,
    Reshape,
    Resize,
    clamp,
    same_padding,
)
from tfquantseg.export.twin_functions import KERNELS

_BYTES = np.dtype(np.uint8)
_RATIO_BITS = 10  # of a resize's ratio
_ADD_SHIFT = 20  # bits that a sum's members are shifted up by


def compute(network: Network, *images: np.ndarray) -> np.ndarray:
    """Returns the logits of one image, or its classes where the network gives those.

    Args:
        network: a frozen network.
        *images: uint8 [H, W, 3] of the network's size; one for each of its inputs.

    Returns:
        int8 [H', W', C]; of classes int32 [H, W]. Of several outputs the first.

    Raises:
        ValueError: an image has another shape or type, or there are too few or too many.
    """
    return compute_all(network, *images)[network.output.name]


def compute_all(network: Network, *images: np.ndarray) -> dict[str, np.ndarray]:
    """Returns every tensor of one image, by its name.

    Args:
        network: a frozen network.
        *images: uint8 [H, W, 3] of the network's size; one for each of its inputs.

    Returns:
        int8 [H, W, C] each; of classes int32 [H, W].

    Raises:
        ValueError: an image has another shape or type, or there are too few or too many.
    """
    accepted = [tensor.shape for tensor in network.images]
    if [image.shape for image in images] != accepted or {i.dtype for i in images} != {_BYTES}:
        raise ValueError(
            f"the network takes {', '.join(f'uint8 {shape}' for shape in accepted)}, received "
            f"{', '.join(f'{image.dtype} {image.shape}' for image in images) or 'nothing'}."
        )
    made = {
        tensor.name: (image.astype(np.int16) - 128).astype(np.int8)
        for tensor, image in zip(network.images, images, strict=True)
    }
    for operation in network.operations:
        inputs = [made[tensor.name] for tensor in operation.inputs]
        made[operation.output.name] = operate(operation, inputs)
    return made


def operate(operation: Operation, inputs: list[np.ndarray]) -> np.ndarray:
    """Returns what one operation makes of its inputs.

    Args:
        operation: of a frozen network.
        inputs: int8 [H, W, C], of the shapes of `operation.inputs`.

    Returns:
        int8, of the shape of `operation.output`; of an `ArgMax` int32 [H, W].
    """
    counted = (
        one.astype(np.int64) - tensor.zero_point
        for one, tensor in zip(inputs, operation.inputs, strict=True)
    )
    made = _KERNELS[type(operation)](operation, *counted) + operation.output.zero_point
    return made.astype(np.int32 if isinstance(operation, ArgMax) else np.int8)


def _convolution(operation: Convolution, x: Integers) -> Integers:
    sums = {"conv2d": _dense, "depthwise": _depthwise, "transposed": _transposed}[operation.kind]
    accumulated = sums(operation, x) + operation.bias_integers()
    factors = operation.bias_steps / np.float64(operation.output.step)
    channels = [
        scaled(accumulated[..., channel], float(factor)) for channel, factor in enumerate(factors)
    ]
    return _clamped(np.stack(channels, axis=-1), operation)


def _windows(
    operation: Convolution | Pool, x: np.ndarray, size: Any, dilations: Any, fill: float
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yields (row, column, what this tap of the kernel sees at every output position)."""
    pads = [(0, 0), (0, 0)]
    if operation.padding == "SAME":
        pads = [
            same_padding(length, window, stride, dilation)
            for length, window, stride, dilation in zip(
                x.shape[:2], size, operation.strides, dilations, strict=True
            )
        ]
    padded = np.pad(x, [*pads, (0, 0)], constant_values=fill)
    height, width = operation.output.shape[:2]
    down, right = operation.strides
    for row in range(size[0]):
        for column in range(size[1]):
            top, left = row * dilations[0], column * dilations[1]
            yield (
                row,
                column,
                padded[
                    top : top + (height - 1) * down + 1 : down,
                    left : left + (width - 1) * right + 1 : right,
                ],
            )


def _dense(operation: Convolution, x: Integers) -> Integers:
    weights = operation.weights.astype(np.float64)
    sums = np.zeros(operation.output.shape)
    taps = _windows(operation, x.astype(np.float64), weights.shape[:2], operation.dilations, 0)
    for row, column, seen in taps:
        sums += _matrix_products(seen, weights[row, column], operation.groups)
    return sums.astype(np.int64)


def _matrix_products(seen: np.ndarray, weights: np.ndarray, groups: int) -> np.ndarray:
    """Returns [H, W, in] times [in / groups, out], group by group."""
    pairs = zip(np.split(seen, groups, -1), np.split(weights, groups, -1), strict=True)
    return np.concatenate([one @ other for one, other in pairs], axis=-1)


def _depthwise(operation: Convolution, x: Integers) -> Integers:
    weights = operation.weights.astype(np.int64)
    sums = np.zeros((*operation.output.shape[:2], *weights.shape[2:]), np.int64)
    for row, column, seen in _windows(operation, x, weights.shape[:2], operation.dilations, 0):
        sums += seen[..., np.newaxis] * weights[row, column]
    return sums.reshape(operation.output.shape)


def _transposed(operation: Convolution, x: Integers) -> Integers:
    weights = operation.weights.astype(np.float64)
    (rows, columns), (down, right) = weights.shape[:2], operation.strides
    height, width = x.shape[:2]
    whole = np.zeros(
        (
            max((height - 1) * down + rows, operation.output.shape[0]),
            max((width - 1) * right + columns, operation.output.shape[1]),
            weights.shape[2],
        )
    )
    values = x.astype(np.float64)
    for row in range(rows):
        for column in range(columns):
            whole[
                row : row + (height - 1) * down + 1 : down,
                column : column + (width - 1) * right + 1 : right,
            ] += values @ weights[row, column].T
    top = left = 0
    if operation.padding == "SAME":
        # What the convolution that it transposes would pad.
        top = max((height - 1) * down + rows - operation.output.shape[0], 0) // 2
        left = max((width - 1) * right + columns - operation.output.shape[1], 0) // 2
    cut = whole[top : top + operation.output.shape[0], left : left + operation.output.shape[1]]
    return cut.astype(np.int64)


def _add(operation: Add, *inputs: Integers) -> Integers:
    steps = [np.float64(tensor.step) for tensor in operation.inputs]
    twice = 2 * max(steps)
    raised = [
        scaled(x << _ADD_SHIFT, float(step / twice)) for x, step in zip(inputs, steps, strict=True)
    ]
    factor = twice / (2.0**_ADD_SHIFT * np.float64(operation.output.step))
    return _clamped(scaled(raised[0] + raised[1], float(factor)), operation)


def _requantize(operation: Requantize, x: Integers) -> Integers:
    factor = np.float64(operation.inputs[0].step) / np.float64(operation.output.step)
    return _clamped(scaled(x, float(factor)), operation)


def _mean(operation: Mean, x: Integers) -> Integers:
    count = x.shape[0] * x.shape[1]
    factor = np.float64(operation.inputs[0].step) / np.float64(operation.output.step)
    sums = x.sum((0, 1), keepdims=True)
    return np.clip(averaged(sums, float(factor), count), *clamp("linear", operation.output))


def _concatenate(operation: Concatenate, *inputs: Integers) -> Integers:
    del operation
    return np.concatenate(inputs, axis=-1)


def _pool(operation: Pool, x: Integers) -> Integers:
    if operation.kind == "max":
        seen = _windows(operation, x, operation.size, (1, 1), -128)
        return np.max([window for *_, window in seen], axis=0)
    zero_point = operation.output.zero_point
    x = x + zero_point
    sums = sum(window for *_, window in _windows(operation, x, operation.size, (1, 1), 0))
    ones = np.ones((*x.shape[:2], 1), np.int64)
    counts = sum(window for *_, window in _windows(operation, ones, operation.size, (1, 1), 0))
    return np.sign(sums) * ((np.abs(sums) + counts // 2) // counts) - zero_point


def _resize(operation: Resize, x: Integers) -> Integers:
    (height, width), (rows, columns) = x.shape[:2], operation.output.shape[:2]
    if operation.kind == "nearest":
        return x[_nearest(height, rows)][:, _nearest(width, columns)]
    above, below, down = _neighbours(height, rows)
    left, right, across = _neighbours(width, columns)
    x = x + operation.output.zero_point
    down, across = down[:, np.newaxis, np.newaxis], across[np.newaxis, :, np.newaxis]
    one = 1 << _RATIO_BITS
    mixed = (
        x[above][:, left] * (one - down) * (one - across)
        + x[below][:, left] * down * (one - across)
        + x[above][:, right] * (one - down) * across
        + x[below][:, right] * down * across
    )
    half = 1 << (2 * _RATIO_BITS - 1)
    rounded = _towards_zero(mixed + np.where(mixed > 0, half, -half), 2 * _RATIO_BITS)
    return rounded - operation.output.zero_point


def _neighbours(length: int, wanted: int) -> tuple[Integers, Integers, Integers]:
    """The two input positions of each output position, and its place between them in 2**-10."""
    one = 1 << _RATIO_BITS
    ratio = (one * length + wanted // 2) // wanted
    place = np.arange(wanted, dtype=np.int64) * ratio + ratio // 2 - one // 2
    before = np.maximum(_towards_zero(place, _RATIO_BITS), 0)
    after = np.minimum(_towards_zero(place + one - 1, _RATIO_BITS), length - 1)
    return before, after, place - one * before


def _nearest(length: int, wanted: int) -> Integers:
    """The input position of each output position, centres at halves, in float32 as the kernel."""
    ratio = np.float32(length) / np.float32(wanted)
    places = np.floor((np.arange(wanted, dtype=np.float32) + np.float32(0.5)) * ratio)
    return np.minimum(places.astype(np.int64), length - 1)


def _repeat(operation: Repeat, x: Integers) -> Integers:
    return np.broadcast_to(x, operation.output.shape)


def _pad(operation: Pad, x: Integers) -> Integers:
    return np.pad(x, [*zip(operation.before, operation.after, strict=True), (0, 0)])


def _crop(operation: Crop, x: Integers) -> Integers:
    (top, left), (height, width) = operation.start, operation.output.shape[:2]
    return x[top : top + height, left : left + width]


def _reshape(operation: Reshape, x: Integers) -> Integers:
    return x.reshape(operation.output.shape)


def _largest(operation: ArgMax, x: Integers) -> Integers:
    del operation
    return x.argmax(-1)  # the first of equals, as the kernel


def _clamped(x: Integers, operation: Convolution | Add | Requantize) -> Integers:
    return np.clip(x, *clamp(operation.activation, operation.output))


def _towards_zero(x: Integers, bits: int) -> Integers:
    """Returns x / 2**bits without its fraction."""
    return np.sign(x) * (np.abs(x) >> bits)


_KERNELS: dict[type[Operation], Callable[..., Integers]] = {
    Convolution: _convolution,
    Add: _add,
    Requantize: _requantize,
    Mean: _mean,
    Concatenate: _concatenate,
    Pool: _pool,
    Resize: _resize,
    Repeat: _repeat,
    Pad: _pad,
    Crop: _crop,
    Reshape: _reshape,
    ArgMax: _largest,
    **KERNELS,
}
