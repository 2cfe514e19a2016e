"""What the plan asks of a call: its function, its sign, and what a device fuses into it."""

import keras

from tfquantseg.layers import factor_and_offset
from tfquantseg.transform.activations import function_name
from tfquantseg.transform.graph import Call

_L = keras.layers


def function_of(call: Call) -> str | None:
    """Returns the name of the function of one tensor that a call looks up; None of another call.

    Args:
        call: of a flat graph.

    Returns:
        "sigmoid", "hard_sigmoid", "tanh", "gelu" or "softmax", or None.
    """
    layer = call.operation
    if isinstance(layer, _L.Activation) and call.kind in ("float", "affine"):
        return function_name(layer.activation)
    return "softmax" if type(layer).__name__ == "Softmax" else None


def keeps_sign(call: Call) -> bool:
    """Whether a call makes nothing negative of what is not negative.

    Args:
        call: of a flat graph.
    """
    if call.kind in ("activation", "add", "average", "concatenate", "select"):
        return True
    if call.kind == "affine" and call.activation == "linear":
        return all(bool((one >= 0).all()) for one in factor_and_offset(call.operation))
    layer = call.operation
    return isinstance(layer, _L.GlobalAveragePooling2D) or type(layer).__name__ in (
        "Multiply",
        "Mean",
    )


def takes_activation(call: Call) -> bool:
    """Whether a device's operator of a call may end with a ReLU.

    Args:
        call: of a flat graph.
    """
    if call.kind == "affine":
        return call.activation == "linear"
    fused = type(call.operation).__name__ in ("Multiply", "Subtract")
    return call.kind in ("batch_norm", "add") or (call.kind == "float" and fused)
