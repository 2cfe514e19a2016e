"""The versions of operators that files are written in, and the runtimes that know them."""

from collections.abc import Iterable

from ai_edge_litert import schema_py_generated as schema

_OPERATORS = schema.BuiltinOperator

# The oldest TensorFlow whose runtime knows each version of an operator that is written here.
_RUNTIMES = {
    (_OPERATORS.ADD, 2): (1, 14, 0),
    (_OPERATORS.ARG_MAX, 2): (1, 14, 0),
    (_OPERATORS.AVERAGE_POOL_2D, 2): (1, 14, 0),
    (_OPERATORS.CONCATENATION, 2): (1, 14, 0),
    (_OPERATORS.CONV_2D, 3): (1, 14, 0),
    (_OPERATORS.CONV_2D, 6): (2, 9, 0),  # in groups
    (_OPERATORS.DEPTHWISE_CONV_2D, 3): (1, 14, 0),
    (_OPERATORS.GELU, 2): (2, 9, 0),
    (_OPERATORS.LOGISTIC, 2): (1, 14, 0),
    (_OPERATORS.MAX_POOL_2D, 2): (1, 14, 0),
    (_OPERATORS.MEAN, 2): (1, 14, 0),
    (_OPERATORS.MUL, 2): (1, 14, 0),
    (_OPERATORS.PAD, 2): (1, 14, 0),
    (_OPERATORS.PRELU, 1): (1, 8, 0),
    (_OPERATORS.QUANTIZE, 1): (1, 14, 0),
    (_OPERATORS.RELU, 2): (2, 1, 0),
    (_OPERATORS.RELU6, 2): (1, 14, 0),
    (_OPERATORS.RESHAPE, 1): (1, 5, 0),
    (_OPERATORS.RESIZE_BILINEAR, 3): (2, 2, 0),
    (_OPERATORS.RESIZE_NEAREST_NEIGHBOR, 2): (1, 14, 0),
    (_OPERATORS.RESIZE_NEAREST_NEIGHBOR, 3): (2, 3, 0),  # centres at halves
    (_OPERATORS.SLICE, 2): (1, 14, 0),
    (_OPERATORS.SOFTMAX, 2): (1, 14, 0),
    (_OPERATORS.SUB, 2): (1, 14, 0),
    (_OPERATORS.TANH, 2): (1, 14, 0),
    (_OPERATORS.TILE, 1): (1, 10, 1),
    (_OPERATORS.TRANSPOSE_CONV, 2): (2, 2, 0),
    (_OPERATORS.TRANSPOSE_CONV, 3): (2, 3, 0),
}


def oldest_runtime(versions: Iterable[tuple[int, int]]) -> tuple[int, int, int]:
    """Returns the oldest TensorFlow Lite that has all of some operators.

    Args:
        versions: pairs of an operator's number in the schema and its version, at least one.

    Returns:
        Its three numbers.
    """
    return max(_RUNTIMES[version] for version in versions)
