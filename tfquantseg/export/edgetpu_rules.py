"""What the Edge TPU's compiler takes and leaves, operator by operator.

The compiler (16.0, for runtime 14) is closed, so these rules are of two kinds, and each finding
says of which:

- documented: Coral's table of supported operations with its limits, and its list of requirements
  (https://coral.ai/docs/edgetpu/models-intro).
- inferred: from what the compiler did to models that Coral ships before and after compilation, or
  from the compiler's messages in issues of github.com/google-coral/edgetpu. These hold for what was
  seen; the true limits lie elsewhere. Inferred are: that TILE is taken, though the table lacks it;
  the newest operator versions; that a resize of a single row or column is left; and the sizes at
  which a resize is left.

A limit that is known to exist, but not where, is a doubt: the operator is predicted to be taken.
What the table says of packing, padding and splitting batches needs no rules of its own, since the
batch must be 1.
"""

from collections.abc import Iterator

from tfquantseg.export.edgetpu_limits import DOUBTS, INFERRED, REFUSALS, REMARKS, Finding, by
from tfquantseg.export.graph_file import Operator

_TABLE = frozenset(
    (
        *("ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D"),
        *("EXPAND_DIMS", "FULLY_CONNECTED", "L2_NORMALIZATION", "LOGISTIC", "MAXIMUM"),
        *("MAX_POOL_2D", "MEAN", "MINIMUM", "MUL", "PACK", "PAD", "PRELU", "QUANTIZE"),
        *("REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6", "RELU_N1_TO_1", "RESHAPE"),
        *("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SLICE", "SOFTMAX"),
        *("SPACE_TO_DEPTH", "SPLIT", "SQUARED_DIFFERENCE", "SQUEEZE", "STRIDED_SLICE", "SUB"),
        *("SUM", "TANH", "TRANSPOSE", "TRANSPOSE_CONV", "UNIDIRECTIONAL_SEQUENCE_LSTM"),
    )
)
_SEEN_MAPPED = frozenset(("TILE",))
_NEWEST = {
    "ADD": 2,
    "CONCATENATION": 2,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "RESIZE_BILINEAR": 3,
    "TILE": 2,
    "TRANSPOSE_CONV": 2,
}
_INSTEAD = {
    "ARG_MAX": "Export the logits and take the maximum on the host.",
    "BROADCAST_TO": "Broadcast in an ADD or MUL.",
    "BATCH_TO_SPACE_ND": "Convert with batch 1 and a fixed height and width: a dilated convolution "
    "then stays one operator.",
    "CAST": "Convert with int8 or uint8 inputs and outputs.",
    "DEPTH_TO_SPACE": "Enlarge with TRANSPOSE_CONV or RESIZE_BILINEAR.",
    "DEQUANTIZE": "Convert with an int8 or uint8 output.",
    "ELU": "Train with relu, or with PReLU of shared_axes=[1, 2].",
    "GELU": "Train with hard_silu, which `quantize` makes a gate and a MUL of, or with relu.",
    "HARD_SWISH": "Write it as x * hard_sigmoid(x), a convolution and a MUL, as `quantize` does; "
    "or train with relu or relu6.",
    "LEAKY_RELU": "Write it as PRELU, as `convert` does; or train with relu.",
    "SHAPE": "Convert with batch 1 and a fixed height and width.",
    "SPACE_TO_BATCH_ND": "Convert with batch 1 and a fixed height and width: a dilated convolution "
    "then stays one operator.",
}
_NEW_BECAUSE = {
    "CONV_2D": "A convolution in groups is version 6: train without groups, or with as many groups "
    "as channels (a depthwise convolution) and a 1x1 convolution behind.",
    "TILE": "For int8, converters write version 3: broadcast in an ADD or MUL.",
    "TRANSPOSE_CONV": "A bias makes it version 3, a fused activation 4: train the transposed "
    "convolution with use_bias=False and let no activation follow it.",
}
_ACTIVATIONS = ("INT8", "UINT8")
_CONSTANTS = ("INT8", "UINT8", "INT32")


def refusals(operator: Operator) -> tuple[Finding, ...]:
    """Returns why the compiler leaves an operator to the CPU; nothing if it takes it.

    Args:
        operator: one of a graph's.

    Returns:
        Every reason, an operator that is not supported at all having this one only.
    """
    if operator.op not in _TABLE | _SEEN_MAPPED:
        default = "Replace it by operators of Coral's table, or move it behind the network's end."
        change = _INSTEAD.get(operator.op, default)
        return (Finding(what=f"{operator.op} is not supported.", change=change),)
    rules = (_version, _types, _sizes, *REFUSALS.get(operator.op, ()))
    return tuple(finding for rule in rules for finding in rule(operator))


def doubts(operator: Operator) -> tuple[Finding, ...]:
    """Returns why the compiler might leave an operator that no rule refuses.

    Args:
        operator: one of a graph's.

    Returns:
        Every doubt.
    """
    return tuple(finding for rule in DOUBTS.get(operator.op, ()) for finding in rule(operator))


def remarks(operator: Operator) -> tuple[Finding, ...]:
    """Returns what is worth knowing of an operator, wherever it runs.

    Args:
        operator: one of a graph's.

    Returns:
        Every remark.
    """
    return tuple(finding for rule in REMARKS.get(operator.op, ()) for finding in rule(operator))


def _version(operator: Operator) -> Iterator[Finding]:
    newest = _NEWEST.get(operator.op)
    if newest is not None and operator.version > newest:
        yield Finding(
            what=f"Version {operator.version}; the newest that the compiler takes is {newest}. It "
            "may refuse the whole file.",
            change=_NEW_BECAUSE.get(operator.op, "Quantize its tensors to int8, not to int16."),
            basis=INFERRED,
        )


def _types(operator: Operator) -> Iterator[Finding]:
    computed = {tensor.type for tensor in operator.activations + operator.outputs}
    held = {tensor.type for tensor in operator.inputs if tensor.constant}
    if strange := computed.difference(_ACTIVATIONS) | held.difference(_CONSTANTS):
        yield Finding(
            what=f"It works on {', '.join(sorted(strange))}; accepted are int8 and uint8, with "
            "int32 for biases.",
            change="Quantize every tensor to 8 bits, inputs and outputs of the network included.",
        )


def _sizes(operator: Operator) -> Iterator[Finding]:
    tensors = operator.activations + operator.outputs
    if unknown := [tensor.shape for tensor in tensors if min(tensor.shape, default=1) < 0]:
        yield Finding(
            what=f"The size of {by(unknown[0])} is open.",
            change="Convert with batch 1 and a fixed height and width.",
        )
    elif deep := [tensor.shape for tensor in tensors if max(tensor.shape[:-3], default=1) > 1]:
        yield Finding(
            what=f"{by(deep[0])} has more than three dimensions above 1; only the innermost three "
            "may be.",
            change="Convert with batch 1, and without operators on five dimensions (nearest "
            "upsampling as RESIZE_NEAREST_NEIGHBOR does it).",
        )
