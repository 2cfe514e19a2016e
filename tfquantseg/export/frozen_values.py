"""What a tensor of a quantized model is on a device: the words that `freeze` and `fold` share."""

import dataclasses
from typing import Any

from tfquantseg.export.network import Operation, Shape, Tensor
from tfquantseg.transform.graph import is_registered
from tfquantseg.transform.replacements import instead_of


@dataclasses.dataclass(frozen=True)
class Pixels:
    """An image as bytes, or as real values on the way to its grid.

    Attributes:
        name: of the model's input.
        shape: height, width and channels.
    """

    name: str
    shape: Shape


@dataclasses.dataclass(frozen=True)
class Integers:
    """The integers of a pair."""

    tensor: Tensor


@dataclasses.dataclass(frozen=True)
class Step:
    """The step of a pair."""

    tensor: Tensor


@dataclasses.dataclass(frozen=True)
class Value:
    """The real values of an 8-bit tensor."""

    tensor: Tensor


@dataclasses.dataclass(frozen=True)
class Real:
    """An operation without its output: real values that no edge has quantized, or integers moved.

    Attributes:
        name: of the layer that makes them.
        kind: of the operation.
        inputs: the tensors that it reads.
        shape: height, width and channels of its output.
        fields: its other fields.
    """

    name: str
    kind: type[Operation]
    inputs: tuple[Tensor, ...]
    shape: Shape
    fields: dict[str, Any]

    def on(self, name: str, step: float, zero_point: int) -> Operation:
        """Returns the operation, its output on a step, counted from a zero point."""
        output = Tensor(name, self.shape, step, zero_point)
        return self.kind(inputs=self.inputs, output=output, **self.fields)


def expect(value: Any, kind: Any, name: str) -> Any:
    """Returns a value of the kind that a layer reads.

    Raises:
        ValueError: it is of another kind; names the layer.
    """
    if not isinstance(value, kind):
        words = {
            Integers: "8-bit integers",
            Value: "an 8-bit tensor",
            Real: "the output of a convolution or a sum",
            Pixels: "the image",
        }
        raise ValueError(
            f"{name!r} reads something else than {words[kind]}, which an int8 file can't hold. "
            "Train with a policy that puts every tensor on an 8-bit grid, such as INTEGER, for "
            "every layer."
        )
    return value


def no_form(operation: Any, why: str) -> ValueError:
    """Makes the error for an operation that no 8-bit operation computes."""
    if is_registered(type(operation)):
        return ValueError(
            f"{operation.name!r} ({type(operation).__name__}) is registered: training calls it, "
            f"but an int8 file has no operation for it{instead_of(type(operation))}. Build the "
            "model with layers in its place that files hold (in place of a pixel shuffle, say, a "
            "Conv2DTranspose), or end the model before it."
        )
    return ValueError(
        f"{operation.name!r} ({type(operation).__name__}) {why}; an int8 file can't hold it. Build "
        "the model of convolutions, Dense, batch norm, activations such as relu, leaky_relu, "
        "hard_silu or sigmoid, sums and products of two, constants, concatenations, pooling, "
        "resizing, padding and cropping."
    )
