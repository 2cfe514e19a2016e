"""Limits of the single operators that the Edge TPU's compiler takes.

A finding is documented if Coral's table of operations or its list of requirements states it, and
inferred otherwise; `edgetpu_rules` tells from what. Of the limits here, inferred are those of a
resize: that one of a single row or column is left to the CPU, and the sizes; and that of a mean.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator

from tfquantseg.export.graph_file import Operator, Tensor

DOCUMENTED = "documented"
INFERRED = "inferred"
MEASURED = "measured"

# Issue 31 of google-coral/edgetpu: 64 x 64 x 32 to 128 x 128 was taken, 256 x 256 x 32 to 512 was
# not.
_RESIZE_TAKEN = 128 * 128 * 32
_FACTOR_TAKEN = 2
# Coral's DeepLab of 19 classes: 33 x 33 x 19 to 513 x 513 was not taken, 33 x 33 to 33 x 33 was.
_RESIZE_LEFT = 513 * 513 * 19
_SOFTMAX_MOST = 16_000
# Issue 461: a MEAN over 64 x 128 was taken, one over 256 x 128 was not.
_MEAN_TAKEN = 64 * 128


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that a user should know, or change.

    Attributes:
        what: is the matter.
        change: what to do about it.
        basis: "documented", "inferred", or "measured" with LiteRT's own kernels.
    """

    what: str
    change: str
    basis: str = DOCUMENTED


Rule = Callable[[Operator], Iterator[Finding]]


def _fused_activation(operator: Operator) -> Iterator[Finding]:
    if operator.options.get("fusedActivationFunction", 0):
        yield Finding(
            what="It has a fused activation.",
            change="Let the activation follow a convolution, before this operator.",
        )


def _dilation(operator: Operator) -> Iterator[Finding]:
    rates = tuple(operator.options.get(f"dilation{axis}Factor", 1) for axis in "HW")
    if rates[0] != rates[1]:
        yield Finding(
            what=f"Its dilation is {by(rates)}; both must be the same.",
            change="Train with one dilation for both axes.",
        )


def _constant_parameters(operator: Operator) -> Iterator[Finding]:
    if len(operator.activations) > 1:
        yield Finding(
            what="Its weights or its bias are computed; they must be constants.",
            change="Train with weights that are variables of the layer.",
        )


def _concatenated_constants(operator: Operator) -> Iterator[Finding]:
    if any(tensor.constant for tensor in operator.inputs) and len(operator.inputs) != 2:
        yield Finding(
            what="It has a constant among more than two inputs.",
            change="Concatenate constants apart, two inputs at a time, and zeros only.",
        )


def _weights_format(operator: Operator) -> Iterator[Finding]:
    if operator.options.get("weightsFormat", 0):
        yield Finding(
            what="Its weights are not in the default format.",
            change="Convert for size and speed on any device, not for one kind of processor.",
        )
    if any(max(tensor.shape[:-1], default=1) > 1 for tensor in operator.outputs):
        yield Finding(
            what=f"Its output {by(operator.outputs[0].shape)} has more than one dimension above 1.",
            change="Use a 1 x 1 convolution.",
        )


def _reduced(operator: Operator) -> Iterator[Finding]:
    shape = operator.inputs[0].shape
    axes = _reduced_axes(operator)
    if len(shape) > 3 and 0 in axes:
        yield Finding(
            what="It reduces the batch dimension.",
            change="Reduce height, width or channels only.",
        )
    if len(shape) - 1 in axes and shape[-1] % 4:
        yield Finding(
            what=f"It reduces {shape[-1]} channels; only a multiple of 4 can be reduced.",
            change="Train with a multiple of 4 channels there.",
        )


def _alpha(operator: Operator) -> Iterator[Finding]:
    if any(tensor.constant and max(tensor.shape[:-1], default=1) > 1 for tensor in operator.inputs):
        yield Finding(
            what="Its alpha varies over height or width.",
            change="Train PReLU with shared_axes=[1, 2].",
        )


def _softmax(operator: Operator) -> Iterator[Finding]:
    shape = operator.inputs[0].shape
    if max(shape[:-1], default=1) > 1 or shape[-1] > _SOFTMAX_MOST:
        yield Finding(
            what=f"Its input is {by(shape)}; accepted is one dimension of at most {_SOFTMAX_MOST}.",
            change="Export the logits: their largest is softmax's largest.",
        )


def _strides(operator: Operator) -> Iterator[Finding]:
    strides = operator.inputs[-1].values or ()
    masks = [mask for mask in ("ellipsisMask", "newAxisMask") if operator.options.get(mask, 0)]
    if set(strides) - {1} or masks:
        yield Finding(
            what=f"It has {' and '.join(masks) or f'strides {by(strides)}'}; accepted are strides "
            "of 1, with neither mask.",
            change="Crop with plain slices; subsample with a stride of the convolution before.",
        )


def _one_pixel(operator: Operator) -> Iterator[Finding]:
    source, target = _resized(operator)
    if any(before == 1 < after for before, after in zip(source, target, strict=True)):
        yield Finding(
            what=f"It spreads {by(source)} over {by(target)}; Coral's DeepLabs were cut there.",
            change="Broadcast the pooled features in an ADD or MUL, or leave image pooling out. "
            "TILE was taken there in version 1, but converters write version 3 for int8.",
            basis=INFERRED,
        )


def _both_alignments(operator: Operator) -> Iterator[Finding]:
    if operator.options.get("alignCorners") and operator.options.get("halfPixelCenters"):
        yield Finding(
            what="It has both align_corners and half_pixel_centers; no runtime accepts both.",
            change="Resize with one of them.",
        )


def _large_resize(operator: Operator) -> Iterator[Finding]:
    output = operator.outputs[0]
    if output.bytes >= _RESIZE_LEFT:
        yield Finding(
            what=f"Its output {by(output.shape)} is too large: {output.bytes:,} bytes, and "
            f"{_RESIZE_LEFT:,} were too large in a network of Coral's.",
            change="If it is the last, leave it to the host by `convert --logits=stride`; else "
            "resize to a smaller size, or fewer channels.",
            basis=INFERRED,
        )


def _doubtful_resize(operator: Operator) -> Iterator[Finding]:
    output = operator.outputs[0]
    factor = max(after / before for before, after in zip(*_resized(operator), strict=True))
    if output.bytes > _RESIZE_TAKEN or factor > _FACTOR_TAKEN:
        yield Finding(
            what=f"A resize by {factor:.3g} to {by(output.shape)}, {output.bytes:,} bytes: by more "
            f"than {_FACTOR_TAKEN}, or to more than {_RESIZE_TAKEN:,} bytes, none is known to be "
            "taken.",
            change="If it is the last, leave it to the host by `convert --logits=stride`; else "
            "resize in steps of 2, or fewer channels.",
            basis=INFERRED,
        )


def _new_nearest(operator: Operator) -> Iterator[Finding]:
    if operator.version > 2:
        yield Finding(
            what=f"Version {operator.version}, of TensorFlow 2.3: it is not known to be taken.",
            change="Enlarge by whole factors, as UpSampling2D does, or bilinearly.",
            basis=INFERRED,
        )


def _inexact(operator: Operator) -> Iterator[Finding]:
    source, target = _resized(operator)
    less = 1 if operator.options.get("alignCorners") else 0
    steps = [(b - less, a - less) for b, a in zip(source, target, strict=True)]
    if any(after > 0 and 1024 * before % after for before, after in steps):
        yield Finding(
            what=f"{by(source)} to {by(target)} is no ratio that LiteRT's reference kernel holds "
            "exactly (10 bits): kernels differ there by some steps.",
            change="Choose sizes with 1024 * in / out an integer"
            + (" (with align_corners, in - 1 and out - 1)." if less else "."),
            basis=MEASURED,
        )


def _single_channel(operator: Operator) -> Iterator[Finding]:
    if len({tensor.shape[-1] for tensor in operator.activations if tensor.shape}) > 1:
        yield Finding(
            what="It repeats a single channel over many; none is known to be taken.",
            change="Let the convolution before make as many channels as the other has.",
            basis=INFERRED,
        )


def _zero_constant(operator: Operator) -> Iterator[Finding]:
    if any(tensor.constant for tensor in operator.inputs):
        yield Finding(
            what="It has a constant input, which must be all zeros.",
            change="Concatenate no constants but zeros.",
        )


def _large_reshape(operator: Operator) -> Iterator[Finding]:
    shape = operator.outputs[0].shape
    if sum(size > 1 for size in shape) > 1:
        yield Finding(
            what=f"A reshape to {by(shape)}: large ones might not be taken; no limit is given.",
            change="Leave it out, or reshape on the host.",
        )


def _large_mean(operator: Operator) -> Iterator[Finding]:
    shape = operator.inputs[0].shape
    positions = math.prod(shape[axis] for axis in _reduced_axes(operator))
    if positions > _MEAN_TAKEN:
        yield Finding(
            what=f"A mean over {positions:,} of {by(shape)}: over more than {_MEAN_TAKEN:,} none "
            "is known to be taken.",
            change="Pool at a larger stride, or by AveragePooling2D in front of it.",
            basis=INFERRED,
        )


def _reduced_axes(operator: Operator) -> set[int]:
    """Returns the axes that a reduction removes, by its constant or else by what the sizes show."""
    before, after = operator.inputs[0].shape, operator.outputs[0].shape
    if operator.inputs[-1].values is not None:
        return {axis % len(before) for axis in operator.inputs[-1].values}
    if len(before) != len(after):
        return set()
    return {axis for axis, size in enumerate(before) if size != after[axis]}


def _resized(operator: Operator) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns height and width before and after a resize."""

    def plane(tensor: Tensor) -> tuple[int, int]:
        _, height, width, _ = tensor.shape
        return height, width

    return plane(operator.inputs[0]), plane(operator.outputs[0])


def by(sizes: tuple[int, ...]) -> str:
    """Writes sizes for people: 33 x 33."""
    return " x ".join(str(size) for size in sizes)


_RESIZE: tuple[Rule, ...] = (_one_pixel, _both_alignments, _large_resize)
REFUSALS: dict[str, tuple[Rule, ...]] = {
    "AVERAGE_POOL_2D": (_fused_activation,),
    "CONCATENATION": (_fused_activation, _concatenated_constants),
    "CONV_2D": (_dilation, _constant_parameters),
    "DEPTHWISE_CONV_2D": (_dilation, _constant_parameters),
    "FULLY_CONNECTED": (_constant_parameters, _weights_format),
    "MAX_POOL_2D": (_fused_activation,),
    "MEAN": (_reduced,),
    "PRELU": (_alpha,),
    "REDUCE_MAX": (_reduced,),
    "REDUCE_MIN": (_reduced,),
    "RESIZE_BILINEAR": _RESIZE,
    "RESIZE_NEAREST_NEIGHBOR": _RESIZE,
    "SOFTMAX": (_softmax,),
    "STRIDED_SLICE": (_strides,),
    "SUM": (_reduced,),
    "TRANSPOSE_CONV": (_constant_parameters,),
}
"""By operator, the rules whose findings leave it to the CPU."""

DOUBTS: dict[str, tuple[Rule, ...]] = {
    "ADD": (_single_channel,),
    "CONCATENATION": (_zero_constant,),
    "MEAN": (_large_mean,),
    "MUL": (_single_channel,),
    "RESHAPE": (_large_reshape,),
    "RESIZE_BILINEAR": (_doubtful_resize,),
    "RESIZE_NEAREST_NEIGHBOR": (_doubtful_resize, _new_nearest),
    "SUB": (_single_channel,),
}
"""By operator, the rules whose findings might leave it to the CPU."""

REMARKS: dict[str, tuple[Rule, ...]] = {"RESIZE_BILINEAR": (_inexact,)}
"""By operator, the rules whose findings hold wherever it runs."""
