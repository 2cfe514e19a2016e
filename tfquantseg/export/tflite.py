"""Writes a frozen network as a full-int8 `.tflite`, operation by operation.

Every weight is written as the integer that the network holds, every step as its float32 value, all
zero points as 0 (128 where the input is uint8, -128 where a grid is unsigned). No converter stands
in between that could fuse, fold or recalibrate anything: docs/design/export.md says why.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from ai_edge_litert import schema_py_generated as schema

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
)
from tfquantseg.export.tflite_file import Border, FileWriter
from tfquantseg.export.tflite_functions import FUSED, LOWERED

NO_CLASSES_FOR_MEDIAPIPE = (
    "MediaPipe takes the largest logit itself, and would read classes as logits without a word; "
    "convert with logits for a file that takes bytes."
)
"""Why no file for MediaPipe ends in an argmax."""

_PADDINGS = {"SAME": schema.Padding.SAME, "VALID": schema.Padding.VALID}
_OPERATORS = schema.BuiltinOperator
_RELUS = {"relu": (_OPERATORS.RELU, 2), "relu6": (_OPERATORS.RELU6, 2)}


def write_tflite(
    network: Network, border: Border = "int8", about: Mapping[str, Any] | None = None
) -> bytes:
    """Returns the content of a `.tflite` file that computes a network.

    Args:
        network: a frozen network.
        border: "int8" takes the integers u - 128 of bytes u; "uint8" takes the bytes themselves.
        about: what else the file is to say of itself, such as the names of the classes; JSON,
            which `FileNetwork.about` reads.

    Returns:
        The file: one input [1, H, W, 3], one output int8 [1, H', W', C], the logits; of a network
        that gives classes int32 [1, H, W]. Of a model of several inputs or outputs all of them, in
        the model's order.

    Raises:
        ValueError: a bias is larger than 32-bit sums allow; or a file that takes bytes, which is
            one for MediaPipe, was to give classes.
    """
    if border == "uint8" and network.gives_classes:
        raise ValueError(NO_CLASSES_FOR_MEDIAPIPE)
    return _Writer(network, border).content(about)


class _Writer(FileWriter):
    """Writes each kind of operation."""

    def __init__(self, network: Network, border: Border) -> None:
        super().__init__(network, border)
        for operation in network.operations:
            _WRITE[type(operation)](self, operation)

    def _weights(self, operation: Convolution, order: tuple[int, ...], axis: int) -> int:
        """The weights in TFLite's layout, which has the output channels in front."""
        weights = operation.weights
        if operation.kind == "depthwise":
            weights = weights.reshape(*weights.shape[:2], 1, -1)
        weights = weights.transpose(order)
        return self._tensor(
            f"{operation.output.name}/weights",
            weights.shape,
            schema.TensorType.INT8,
            weights,
            steps=operation.weight_steps,
            axis=axis,
            shared=True,  # by all calls of a layer that is called several times
        )

    def _bias(self, operation: Convolution) -> int:
        return self._tensor(
            f"{operation.output.name}/bias",
            operation.bias.shape,
            schema.TensorType.INT32,
            operation.bias_integers(),
            steps=operation.bias_steps,
        )

    def _convolution(self, operation: Convolution) -> None:
        if operation.kind == "transposed":
            self._transposed(operation)
            return
        dense = operation.kind == "conv2d"
        options: Any = schema.Conv2DOptionsT() if dense else schema.DepthwiseConv2DOptionsT()
        options.padding = _PADDINGS[operation.padding]
        options.strideH, options.strideW = operation.strides
        options.dilationHFactor, options.dilationWFactor = operation.dilations
        options.fusedActivationFunction = FUSED[operation.activation]
        if dense:
            weights, code = self._weights(operation, (3, 0, 1, 2), 0), _OPERATORS.CONV_2D
        else:
            weights, code = self._weights(operation, (2, 0, 1, 3), 3), _OPERATORS.DEPTHWISE_CONV_2D
            options.depthMultiplier = operation.weights.shape[3]
        inputs = [*self._inputs(operation), weights, self._bias(operation)]
        version = 6 if operation.groups > 1 else 3
        self._operate(code, version, inputs, operation.output, options)

    def _transposed(self, operation: Convolution) -> None:
        options = schema.TransposeConvOptionsT()
        options.padding = _PADDINGS[operation.padding]
        options.strideH, options.strideW = operation.strides
        name = operation.output.name
        inputs = [
            self._constant(f"{name}/shape", (1, *operation.output.shape)),
            self._weights(operation, (2, 0, 1, 3), 0),
            *self._inputs(operation),
        ]
        version = 2
        if operation.bias_integers().any():
            inputs, version = [*inputs, self._bias(operation)], 3
        if operation.activation == "linear":
            self._operate(_OPERATORS.TRANSPOSE_CONV, version, inputs, operation.output, options)
            return
        # Fused, the activation would make it version 4, which the Edge TPU compiler can't read. On
        # the same step an operator of its own computes the same: it cuts what is clamped already.
        linear = dataclasses.replace(operation.output, name=f"{name}_linear")
        self._operate(_OPERATORS.TRANSPOSE_CONV, version, inputs, linear, options)
        code, version = _RELUS[operation.activation]
        self._operate(code, version, [self._index[linear.name]], operation.output)

    def _add(self, operation: Add) -> None:
        options = schema.AddOptionsT()
        options.fusedActivationFunction = FUSED[operation.activation]
        self._operate(_OPERATORS.ADD, 2, self._inputs(operation), operation.output, options)

    def _requantize(self, operation: Requantize) -> None:
        code, version, options = _OPERATORS.QUANTIZE, 1, schema.QuantizeOptionsT()
        if operation.activation != "linear":
            (code, version), options = _RELUS[operation.activation], None
        self._operate(code, version, self._inputs(operation), operation.output, options)

    def _mean(self, operation: Mean) -> None:
        options = schema.ReducerOptionsT()
        options.keepDims = True
        axes = self._constant(f"{operation.output.name}/axes", (1, 2))
        inputs = [*self._inputs(operation), axes]
        self._operate(_OPERATORS.MEAN, 2, inputs, operation.output, options)

    def _concatenate(self, operation: Concatenate) -> None:
        options = schema.ConcatenationOptionsT()
        options.axis = 3
        inputs = self._inputs(operation)
        self._operate(_OPERATORS.CONCATENATION, 2, inputs, operation.output, options)

    def _pool(self, operation: Pool) -> None:
        options = schema.Pool2DOptionsT()
        options.padding = _PADDINGS[operation.padding]
        options.strideH, options.strideW = operation.strides
        options.filterHeight, options.filterWidth = operation.size
        largest = operation.kind == "max"
        code = _OPERATORS.MAX_POOL_2D if largest else _OPERATORS.AVERAGE_POOL_2D
        self._operate(code, 2, self._inputs(operation), operation.output, options)

    def _resize(self, operation: Resize) -> None:
        size = self._constant(f"{operation.output.name}/size", operation.output.shape[:2])
        inputs = [*self._inputs(operation), size]
        if operation.kind == "bilinear":
            bilinear = schema.ResizeBilinearOptionsT()
            bilinear.alignCorners, bilinear.halfPixelCenters = False, True
            self._operate(_OPERATORS.RESIZE_BILINEAR, 3, inputs, operation.output, bilinear)
            return
        # By whole factors centres at halves choose the same pixels, and the older version does.
        sides = zip(operation.inputs[0].shape[:2], operation.output.shape[:2], strict=True)
        is_whole = all(to % from_ == 0 for from_, to in sides)
        nearest = schema.ResizeNearestNeighborOptionsT()
        nearest.alignCorners, nearest.halfPixelCenters = False, not is_whole
        version = 2 if is_whole else 3
        code = _OPERATORS.RESIZE_NEAREST_NEIGHBOR
        self._operate(code, version, inputs, operation.output, nearest)

    def _repeat(self, operation: Repeat) -> None:
        height, width, _ = operation.output.shape
        times = self._constant(f"{operation.output.name}/times", (1, height, width, 1))
        inputs = [*self._inputs(operation), times]
        self._operate(_OPERATORS.TILE, 1, inputs, operation.output, schema.TileOptionsT())

    def _pad(self, operation: Pad) -> None:
        (top, left), (bottom, right) = operation.before, operation.after
        rows = [[0, 0], [top, bottom], [left, right], [0, 0]]
        zeros = self._constant(f"{operation.output.name}/zeros", rows)
        inputs = [*self._inputs(operation), zeros]
        self._operate(_OPERATORS.PAD, 2, inputs, operation.output, schema.PadOptionsT())

    def _crop(self, operation: Crop) -> None:
        name = operation.output.name
        begin = self._constant(f"{name}/begin", (0, *operation.start, 0))
        size = self._constant(f"{name}/size", (1, *operation.output.shape))
        inputs = [*self._inputs(operation), begin, size]
        self._operate(_OPERATORS.SLICE, 2, inputs, operation.output, schema.SliceOptionsT())

    def _reshape(self, operation: Reshape) -> None:
        options = schema.ReshapeOptionsT()
        options.newShape = [1, *operation.output.shape]
        shape = self._constant(f"{operation.output.name}/shape", options.newShape)
        inputs = [*self._inputs(operation), shape]
        self._operate(_OPERATORS.RESHAPE, 1, inputs, operation.output, options)

    def _argmax(self, operation: ArgMax) -> None:
        options = schema.ArgMaxOptionsT()
        options.outputType = schema.TensorType.INT32
        name, (height, width, _) = operation.output.name, operation.output.shape
        inputs = [*self._inputs(operation), self._constant(f"{name}/axis", 3)]
        self._index[name] = self._tensor(name, (1, height, width), schema.TensorType.INT32)
        self._operate(_OPERATORS.ARG_MAX, 2, inputs, self._index[name], options)

    def _function(self, operation: Operation) -> None:
        found = LOWERED[type(operation)](operation)
        inputs = self._inputs(operation)
        if found.constant is not None:
            name, shape = f"{operation.output.name}/constant", found.constant.shape
            kind = schema.TensorType.INT8
            inputs += [self._tensor(name, shape, kind, found.constant, steps=[found.step])]
        self._operate(found.code, found.version, inputs, operation.output, found.options)


_WRITE: dict[type[Operation], Callable[..., None]] = {
    Convolution: _Writer._convolution,
    Add: _Writer._add,
    Requantize: _Writer._requantize,
    Mean: _Writer._mean,
    Concatenate: _Writer._concatenate,
    Pool: _Writer._pool,
    Resize: _Writer._resize,
    Repeat: _Writer._repeat,
    Pad: _Writer._pad,
    Crop: _Writer._crop,
    Reshape: _Writer._reshape,
    ArgMax: _Writer._argmax,
    **dict.fromkeys(LOWERED, _Writer._function),
}
