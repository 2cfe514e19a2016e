"""Layers and ops that act on integers: what each is in a file, on the step of what it reads."""

import math
from typing import Any

import keras

from tfquantseg.export.frozen_values import Integers, Real, expect, no_form
from tfquantseg.export.network import (
    Concatenate,
    Crop,
    Pad,
    Pool,
    Repeat,
    Reshape,
    Resize,
    Shape,
    Sides,
    Tensor,
    same_padding,
)

_L = keras.layers
_ALTERS = ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias")


def pooled(layer: Any, values: list[Any]) -> Real:
    """Returns a pooling."""
    tensor = _only(layer, values)
    size, strides, padding = layer.pool_size, layer.strides, layer.padding.upper()
    sides = _window_sides(tensor.shape, size, strides, padding)
    fields = {
        "kind": "max" if isinstance(layer, _L.MaxPooling2D) else "average",
        "size": tuple(size),
        "strides": tuple(strides),
        "padding": padding,
    }
    return Real(layer.name, Pool, (tensor,), (*sides, tensor.shape[2]), fields)


def resized(operation: Any, values: list[Any]) -> Real:
    """Returns an upsampling or a resizing, layer or op."""
    tensor = _only(operation, values)
    height, width, channels = tensor.shape
    if isinstance(operation, _L.UpSampling2D):
        height, width = height * operation.size[0], width * operation.size[1]
    else:
        if altered := [name for name in _ALTERS if getattr(operation, name, False)]:
            raise no_form(operation, f"has {altered[0]}=True, which no resize of a file has")
        is_layer = isinstance(operation, _L.Layer)
        height, width = (operation.height, operation.width) if is_layer else operation.size
    fields = {"kind": operation.interpolation}
    return Real(operation.name, Resize, (tensor,), (height, width, channels), fields)


def repeated(layer: Any, values: list[Any]) -> Real:
    """Returns one position, repeated over those of another tensor."""
    one, like = (expect(value, Integers, layer.name).tensor for value in values)
    return Real(layer.name, Repeat, (one,), (*like.shape[:2], one.shape[2]), {})


def padded(operation: Any, values: list[Any]) -> Real:
    """Returns zeros around a tensor, by layer or op."""
    tensor = _only(operation, values)
    if isinstance(operation, _L.Layer):
        (top, bottom), (left, right) = operation.padding
    else:
        widths = [tuple(pair) for pair in operation.pad_width]
        if operation.mode != "constant" or len(widths) != 4 or any(widths[0] + widths[3]):
            raise no_form(operation, "pads otherwise than with zeros around height and width")
        (top, bottom), (left, right) = widths[1:3]
    height, width, channels = tensor.shape
    shape = (height + top + bottom, width + left + right, channels)
    fields = {"before": (top, left), "after": (bottom, right)}
    return Real(operation.name, Pad, (tensor,), shape, fields)


def cropped(layer: Any, values: list[Any]) -> Real:
    """Returns a part of a tensor."""
    tensor = _only(layer, values)
    (top, bottom), (left, right) = layer.cropping
    height, width, channels = tensor.shape
    shape = (height - top - bottom, width - left - right, channels)
    return Real(layer.name, Crop, (tensor,), shape, {"start": (top, left)})


def reshaped(operation: Any, values: list[Any]) -> Real | Integers:
    """Returns the same integers in another shape, layer or op; as they are where it is the same.

    Sides in front of the last that a shape of files has and the model's lacks are 1.
    """
    tensor = _only(operation, values)
    total = math.prod(tensor.shape)
    wanted: tuple[int, ...] = (total,)
    if type(operation).__name__ == "ExpandDims":
        wanted = tensor.shape  # of the one position that an average leaves, [1, 1, C]
        if tensor.shape[:2] != (1, 1):
            raise no_form(operation, f"makes another dimension of {tensor.shape}")
    elif isinstance(operation, _L.Reshape):
        wanted = tuple(operation.target_shape)
    elif not isinstance(operation, _L.Flatten):
        wanted = tuple(operation.newshape[1:])
    known = max(math.prod(side for side in wanted if side != -1), 1)
    wanted = tuple(total // known if side == -1 else side for side in wanted)
    if len(wanted) > 3 or math.prod(wanted) != total:
        raise no_form(operation, f"makes {wanted} of {tensor.shape}")
    height, width, channels = (*(1,) * (3 - len(wanted)), *wanted)
    if (height, width, channels) == tensor.shape:
        return Integers(tensor)
    return Real(operation.name, Reshape, (tensor,), (height, width, channels), {})


def joined(operation: Any, values: list[Any]) -> Real:
    """Returns tensors along the channels, by layer or op."""
    tensors = tuple(expect(value, Integers, operation.name).tensor for value in values)
    if not _is_over_channels(operation) or len({t.shape[:2] for t in tensors}) != 1:
        raise no_form(operation, "joins along another axis than the channels")
    shape = (*tensors[0].shape[:2], sum(tensor.shape[2] for tensor in tensors))
    return Real(operation.name, Concatenate, tensors, shape, {})


def _is_over_channels(join: Any) -> bool:
    """Whether the axis is the last one of what the model joins: 1 of [N, C], 3 of [N, H, W, C]."""
    ranks = {len(node.outputs[0].shape) for node in join._inbound_nodes}
    return all(join.axis in (-1, rank - 1) for rank in ranks)


def same(operation: Any, values: list[Any]) -> Any:
    """Returns what it reads: a resize or an average has rounded already, as the device does."""
    del operation
    return values[0]


def _only(operation: Any, values: list[Any]) -> Tensor:
    tensor: Tensor = expect(values[0], Integers, operation.name).tensor
    if getattr(operation, "data_format", None) == "channels_first":
        raise no_form(operation, "has its channels first")
    return tensor


def _window_sides(shape: Shape, size: Sides, strides: Sides, padding: str) -> Sides:
    """Height and width of what a window leaves."""
    sides = []
    for length, window, stride in zip(shape[:2], size, strides, strict=True):
        added = sum(same_padding(length, window, stride)) if padding == "SAME" else 0
        sides.append((length + added - window) // stride + 1)
    return sides[0], sides[1]
