"""Which runtime a file asks for."""

from ai_edge_litert import schema_py_generated as schema

from tfquantseg.export.operator_versions import oldest_runtime

_OPERATORS = schema.BuiltinOperator


def test_it_is_that_of_the_newest_operator() -> None:
    convolution, resize = (_OPERATORS.CONV_2D, 3), (_OPERATORS.RESIZE_BILINEAR, 3)
    assert oldest_runtime([convolution]) == (1, 14, 0)
    assert oldest_runtime([resize, convolution]) == (2, 2, 0)
    # A bias makes a transposed convolution another version.
    assert oldest_runtime([(_OPERATORS.TRANSPOSE_CONV, 2)]) < oldest_runtime(
        [(_OPERATORS.TRANSPOSE_CONV, 3)]
    )
