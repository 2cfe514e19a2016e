"""What own ops compute at once, found by looking back at what made a tensor.

Layers stay as they are: batch norm, ReLU, the grid of A, a convolution. But where one traced graph
holds them in a row, nobody needs the float32 tensors between: the convolution takes bytes that one
op makes of batch norm's input, the scale of A follows from the largest and the least value of each
channel, and the error comes back through ReLU and batch norm as bytes too. Each function here
returns the inputs for such an op where it recognizes the row, and else what was there before; the
bits are the same either way. What nobody reads any more TensorFlow removes from the graph.

The largest value survives: each of batch norm's operations, rounding included, keeps the order of
its operands or turns it around, so a channel's largest magnitude is that of one of its ends.
"""

from types import ModuleType
from typing import Any, NamedTuple

import tensorflow as tf

_GRID = ("divisor", "most", "gain", "constant_step", "scale_kind", "rounding")
_PYTHON = tf.autograph.experimental.do_not_convert  # It asks about graphs, and belongs to none.
_BYTE = 127  # The largest integer of a grid whose integers int8 holds.


@_PYTHON
def made_by(tensor: tf.Tensor) -> tf.Operation | None:
    """Returns the operation of this graph that made a tensor, behind identities; None if eager."""
    if not tf.is_symbolic_tensor(tensor):
        return None
    while tensor.op.type in ("Identity", "IdentityN"):
        tensor = tensor.op.inputs[tensor.value_index]
    return tensor.op


@_PYTHON
def ends(ops: ModuleType, x: tf.Tensor) -> tf.Tensor:
    """Returns a tensor with the largest magnitude of x, and as often as can be a much smaller one.

    Args:
        ops: what `tfquantseg.kernels.ops` returned.
        x: float32 tensor of any shape.

    Returns:
        float32 [2, C] where batch norm, and maybe a ReLU, made x of a batch whose statistics are
        known; else x.
    """
    relu, normalize = _normalized(x)
    if normalize is None:
        return x
    statistics = next(
        (op for op in normalize.inputs[0].consumers() if op.type == "TfquantsegChannelStatistics"),
        None,
    )
    if statistics is None:
        return x
    _, least, most = statistics.outputs
    y = ops.tfquantseg_normalize(tf.stack([least, most]), *normalize.inputs[1:])
    return tf.nn.relu(y) if relu else y


@_PYTHON
def encoded_bytes(ops: ModuleType, integers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor] | None:
    """Returns integers as int8, encoded anew from what they were made of.

    Args:
        ops: what `tfquantseg.kernels.ops` returned.
        integers: float32 tensor of any shape.

    Returns:
        (int8, 1 or NaN where an integer is NaN); None where no own op encoded them.
    """
    encode = made_by(integers)
    if encode is None or encode.type != "TfquantsegEncodeScaled":
        return None
    if encode.get_attr("rounding") == b"stochastic" or encode.get_attr("most") > _BYTE:
        return None
    x, scale, _ = encode.inputs
    relu, normalize = _normalized(x)
    nothing = tf.zeros([0])
    inputs = [x, *[nothing] * 4] if normalize is None else list(normalize.inputs)
    if normalize is None:
        relu = False
    return ops.tfquantseg_encode_bytes(*inputs, scale, relu=relu, **_attributes(encode))


class Arrived(NamedTuple):
    """An error that arrives at batch norm's output.

    Attributes:
        error: float32, or int8 in units of ``step``.
        step: a float32 scalar, 1 for float32.
        relu: whether ReLU's derivative still has to act on it.
    """

    error: tf.Tensor
    step: tf.Tensor
    relu: bool


@_PYTHON
def arrived(ops: ModuleType, error: tf.Tensor, y: tf.Tensor) -> Arrived:
    """Returns an error of batch norm's output as the quantizer of E1 made it, before ReLU.

    Args:
        ops: what `tfquantseg.kernels.ops` returned.
        error: float32, dL/dy.
        y: batch norm's output.
    """
    relu = False
    choose = made_by(error)
    if choose is not None and choose.type == "SelectV2" and _is_relu_of(choose, y):
        relu, error = True, choose.inputs[1]
    encode = _encoder_of(error)
    if encode is None:
        return Arrived(error, tf.constant(1.0), relu)
    kept = {name: encode.get_attr(name) for name in ("salt", "mask_first")}
    integers, step, *_ = ops.tfquantseg_encode_error(
        *encode.inputs, T=tf.int8, **kept, **_attributes(encode)
    )
    return Arrived(integers, step, relu)


@_PYTHON
def largest_by_channel(error: tf.Tensor) -> tf.Tensor:
    """Returns the largest magnitude of each channel [C] where it is known, else [0]."""
    made = made_by(error)
    if made is None or made.type != "TfquantsegNormalizeGradient":
        return tf.zeros([0])
    return made.outputs[3]


def _encoder_of(error: tf.Tensor) -> tf.Operation | None:
    """The operation of whose pair, of 8 bits, an error is the product; None if it is none."""
    product = made_by(error)
    if product is None or product.type != "Mul":
        return None
    integers, step = product.inputs
    encode = made_by(integers)
    one_pair = made_by(step) is encode
    if encode is None or encode.type != "TfquantsegEncodeError" or not one_pair:
        return None
    return encode if encode.get_attr("most") <= _BYTE else None


def _normalized(x: tf.Tensor) -> tuple[bool, tf.Operation | None]:
    """Whether a ReLU made x, and batch norm's operation before it, None if there is none."""
    made = made_by(x)
    relu = made is not None and made.type == "Relu"
    if made is not None and relu:
        made = made_by(made.inputs[0])
    return relu, made if made is not None and made.type == "TfquantsegNormalize" else None


def _is_relu_of(choose: tf.Operation, y: tf.Tensor) -> bool:
    """Whether a choice takes a value where ReLU's output of y is above zero, and zero elsewhere."""
    above = made_by(choose.inputs[0])
    if above is None or above.type != "Greater" or not _is_zero(above.inputs[1]):
        return False
    relu = made_by(above.inputs[0])
    if relu is None or relu.type != "Relu" or not _is_zero(choose.inputs[2]):
        return False
    return made_by(relu.inputs[0]) is made_by(y)


def _is_zero(tensor: tf.Tensor) -> bool:
    value = tf.get_static_value(tensor)
    return value is not None and value.shape == () and value == 0


def _attributes(operation: tf.Operation) -> dict[str, Any]:
    return {name: operation.get_attr(name) for name in _GRID}
