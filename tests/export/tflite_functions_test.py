"""The operators that functions are written as, their versions, constants and fused activations."""

import numpy as np
import pytest

from tfquantseg.export.functions import UNIT_STEP, Function, Multiply, PRelu, Softmax, Subtract
from tfquantseg.export.graph_file import Operator, graph_of
from tfquantseg.export.network import Network, Operation, Tensor
from tfquantseg.export.tflite import write_tflite

_X = Tensor("image", (4, 4, 3), 2.0**-7)
_MADE = Tensor("made", (4, 4, 3), 2.0**-6)
_UNIT = Tensor("made", (4, 4, 3), UNIT_STEP, -128)


def _written(operation: Operation) -> tuple[Operator, str]:
    network = Network("one", _X, (operation,), operation.output, {})
    graph = graph_of(write_tflite(network), name="one")
    (operator,) = graph.operators
    return operator, graph.min_runtime_version


@pytest.mark.parametrize(
    ("operation", "op", "version", "runtime"),
    [
        (Function(inputs=(_X,), output=_UNIT, kind="sigmoid"), "LOGISTIC", 2, "1.14.0"),
        (Function(inputs=(_X,), output=_MADE, kind="tanh"), "TANH", 2, "1.14.0"),
        (Function(inputs=(_X,), output=_MADE, kind="gelu"), "GELU", 2, "2.9.0"),
        (Softmax(inputs=(_X,), output=_UNIT), "SOFTMAX", 2, "1.14.0"),
        (Multiply(inputs=(_X, _X), output=_MADE, activation="relu"), "MUL", 2, "1.14.0"),
        (Subtract(inputs=(_X, _X), output=_MADE, activation="relu6"), "SUB", 2, "1.14.0"),
    ],
)
def test_operators_and_versions(operation, op: str, version: int, runtime: str) -> None:
    written, needed = _written(operation)
    assert (written.op, written.version, needed) == (op, version, runtime)
    assert len(written.inputs) == len(operation.inputs)
    fused = {"relu": 1, "relu6": 3}.get(getattr(operation, "activation", ""), 0)
    assert written.options.get("fusedActivationFunction", 0) == fused


def test_slopes_are_int8_constants_of_a_channel_each() -> None:
    slopes = np.int8([3, -127, 5])
    written, _ = _written(PRelu(inputs=(_X,), output=_MADE, slopes=slopes, slope_step=0.5))
    x, alpha = written.inputs
    assert (written.op, written.version, x.name) == ("PRELU", 1, "image")
    assert (alpha.name, alpha.type, alpha.shape, alpha.constant) == (
        "made/constant",
        "INT8",
        (1, 1, 3),
        True,
    )
    assert alpha.quantization.scales == (0.5,) and alpha.quantization.zero_points == (0,)
