"""A frozen network: 8-bit tensors, and the integer operations between them.

`freeze` makes one of a trained model; `twin` computes it in NumPy; `tflite` writes it as a file.
All three know it by these values alone, so that what a file must compute is defined in one place.

Every tensor holds bytes q of -128..127 that stand for ``(q - zero_point) * step``. Zero points are
0, and q the integer n of training; of an unsigned grid -128, and q = n - 128 with n of 0..255.
The batch is 1 and left out of shapes, which are (height, width, channels).
"""

import dataclasses
import math
from typing import ClassVar, Literal

import numpy as np

Shape = tuple[int, int, int]
Sides = tuple[int, int]
Padding = Literal["SAME", "VALID"]
Activation = Literal["linear", "relu", "relu6"]

LARGEST_BIAS = 2**30
"""A bias beyond it leaves a 32-bit sum too little room."""


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One tensor of 8-bit integers.

    Attributes:
        name: of the layer whose output it is; unique in its network.
        shape: height, width and channels.
        step: the real value of one integer step, a positive float32 value.
        zero_point: the byte that stands for 0: 0, or -128 of an unsigned grid.
    """

    name: str
    shape: Shape
    step: float
    zero_point: int = 0


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Operation:
    """What makes one tensor of others.

    Attributes:
        inputs: the tensors it reads.
        output: the tensor it makes.
        keeps_largest: whether the largest channel of each position stays the largest.
    """

    inputs: tuple[Tensor, ...]
    output: Tensor
    keeps_largest: ClassVar[bool] = False


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Convolution(Operation):
    """A convolution, batch norm folded into its steps and bias.

    ``Y = activation(sum(n_A * n_W) * (s_A * s_W) + b)``

    Attributes:
        layer: name of the layer whose W_q the weights are; "" for a batch norm of its own.
        kind: "conv2d", "depthwise" or "transposed".
        weights: int8 [H, W, in, out], or [H, W, in / groups, out]; of a depthwise one
            [H, W, in, multiplier], of a transposed one [H, W, out, in].
        signs: int8 [out], of the gamma that is folded in: the weights are W_q times it.
        weight_steps: float32 [out], positive.
        bias: float64 [out], the real bias.
        strides: vertical and horizontal.
        dilations: vertical and horizontal.
        padding: "SAME" or "VALID", as TensorFlow defines them.
        activation: "linear", "relu" or "relu6".
    """

    layer: str
    kind: Literal["conv2d", "depthwise", "transposed"]
    weights: np.ndarray
    signs: np.ndarray
    weight_steps: np.ndarray
    bias: np.ndarray
    strides: Sides
    dilations: Sides
    padding: Padding
    activation: Activation

    @property
    def groups(self) -> int:
        """Parts of the channels that do not see each other; 1 of any but a "conv2d"."""
        return self.inputs[0].shape[2] // self.weights.shape[2] if self.kind == "conv2d" else 1

    @property
    def bias_steps(self) -> np.ndarray:
        """The step of each channel's sum, float64 [out]: s_A * s_W."""
        return self.inputs[0].step * self.weight_steps.astype(np.float64)

    def bias_integers(self) -> np.ndarray:
        """Returns the bias in steps of its channel's sum, int32 [out], ties away from zero.

        Raises:
            ValueError: a bias is larger than 2**30 steps.
        """
        steps = self.bias / self.bias_steps
        integers = np.copysign(np.floor(np.abs(steps) + 0.5), steps)
        largest = float(np.abs(integers).max(initial=0))
        if not largest <= LARGEST_BIAS:
            channel = int(np.abs(integers).argmax())
            raise ValueError(
                f"{self.output.name!r}: the bias of channel {channel} is {self.bias[channel]:.4g}, "
                f"which is {largest:.4g} steps of {self.bias_steps[channel]:.4g}; 32-bit sums take "
                "2**30 at most. A gamma or weights close to zero make steps so small: set the "
                "channel's gamma to 0, which leaves its bias alone, or take the channel out."
            )
        return integers.astype(np.int32)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Add(Operation):
    """The sum of two tensors, with an activation."""

    activation: Activation


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Requantize(Operation):
    """The same real values on another step, with a ReLU or without."""

    activation: Literal["linear", "relu"]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Mean(Operation):
    """The average over all positions, [1, 1, C], on a step of its own."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Concatenate(Operation):
    """All inputs, which have the output's step, along the channels."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Pool(Operation):
    """The largest or the average integer of each window, on the input's step.

    Attributes:
        kind: "max" or "average"; averages leave out padding and round ties away from zero.
        size: height and width of a window.
        strides: vertical and horizontal.
        padding: "SAME" or "VALID".
    """

    kind: Literal["max", "average"]
    size: Sides
    strides: Sides
    padding: Padding


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Resize(Operation):
    """Another height and width, on the input's step; pixel centres lie at halves.

    Attributes:
        kind: "bilinear" or "nearest".
    """

    kind: Literal["bilinear", "nearest"]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Repeat(Operation):
    """One position [1, 1, C] at every position of the output."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Pad(Operation):
    """Zeros around the input.

    Attributes:
        before: rows above and columns to the left.
        after: rows below and columns to the right.
    """

    before: Sides
    after: Sides


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Crop(Operation):
    """A part of the input.

    Attributes:
        start: the first row and column.
    """

    start: Sides


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Reshape(Operation):
    """The same integers, row by row, in another shape."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ArgMax(Operation):
    """The index of the largest integer of each position, the first of equals: int32 [H, W].

    Its output has no step: the last side of its shape is 1 and left out of files.
    """


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """A frozen network.

    Attributes:
        name: the model's name.
        image: the first input; a byte u enters as the integer u - 128.
        operations: in an order in which each finds its inputs made.
        logits: the first output: an 8-bit tensor, or what an `ArgMax` behind it reads.
        edges: of each `QuantEdge` of the model, by its name, the tensors that it makes.
        more_images: the other inputs of a model of several, in the model's order.
        more_logits: the other outputs of a model of several, in the model's order.
    """

    name: str
    image: Tensor
    operations: tuple[Operation, ...]
    logits: Tensor
    edges: dict[str, tuple[Tensor, ...]]
    more_images: tuple[Tensor, ...] = ()
    more_logits: tuple[Tensor, ...] = ()

    @property
    def images(self) -> tuple[Tensor, ...]:
        """All inputs."""
        return (self.image, *self.more_images)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """What a file returns."""
        return (self.output, *self.more_logits)

    @property
    def convolutions(self) -> tuple[Convolution, ...]:
        """All convolutions, in order."""
        return tuple(one for one in self.operations if isinstance(one, Convolution))

    @property
    def output(self) -> Tensor:
        """What a file returns first: logits, or the classes that an `ArgMax` makes of them."""
        if self.operations and isinstance(self.operations[-1], ArgMax):
            return self.operations[-1].output
        return self.logits

    @property
    def gives_classes(self) -> bool:
        """Whether the output is the class of each pixel in place of logits."""
        return self.output is not self.logits

    @property
    def gives_probabilities(self) -> bool:
        """Whether the output is that of a softmax, which leaves MediaPipe none to take."""
        return bool(self.operations) and self.operations[-1].keeps_largest


def along_channels(kind: str, weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns one value an output channel in a shape that multiplies a convolution's weights.

    Args:
        kind: of the convolution.
        weights: its weights, in the layout of its kind.
        values: [out].
    """
    if kind == "depthwise":
        return values.reshape(weights.shape[2:])
    return values[:, np.newaxis] if kind == "transposed" else values


def clamp(activation: Activation, output: Tensor) -> tuple[int, int]:
    """Returns the least and the largest integer n that an activation leaves, as TFLite does.

    Args:
        activation: "linear", "relu" or "relu6".
        output: what it makes.
    """
    least, most = -128 - output.zero_point, 127 - output.zero_point
    if activation == "linear":
        return least, most
    if activation == "relu":
        return 0, most
    return 0, min(most, math.floor(float(np.float32(6.0) / np.float32(output.step)) + 0.5))


def same_padding(size: int, window: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Returns the rows that TensorFlow's SAME adds before and after one side.

    Args:
        size: of the input, pixels.
        window: of the kernel, pixels.
        stride: pixels.
        dilation: pixels between neighbouring taps.
    """
    total = max((-(-size // stride) - 1) * stride + (window - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2
