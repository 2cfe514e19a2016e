"""What the plan asks of a call: its function, its sign, and what a device fuses into it."""

from typing import Any

import keras

from tfquantseg.layers import factor_and_offset
from tfquantseg.policy import Policy
from tfquantseg.transform.activations import function_name
from tfquantseg.transform.graph import Call, Graph

_L = keras.layers

_SCALES = {"sigmoid": 1.0, "softmax": 1.0, "tanh": 1.0, "hard_sigmoid": 1.0}
"""The scales that devices prescribe: steps of 1/256 where nothing is below zero, else of 1/128.

Of hard_sigmoid none is prescribed. On this one its 1/2, which is what it makes of 0, is an integer.
"""


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


def is_non_negative(graph: Graph, tensor: Any) -> bool:
    """Whether a tensor holds nothing below zero, whatever the weights.

    ReLU makes nothing negative, and no sum, product, average or choice of what is not is.

    Args:
        graph: the flat graph.
        tensor: of that graph.
    """
    stack, seen = [tensor], {id(tensor)}
    while stack:
        call = graph.producer(stack.pop())
        if call.activation in ("relu", "relu6") or function_of(call) in ("sigmoid", "softmax"):
            continue
        if not keeps_sign(call):
            return False
        stack.extend(one for one in call.inputs if id(one) not in seen)
        seen.update(map(id, call.inputs))
    return True


def takes_activation(call: Call) -> bool:
    """Whether a device's operator of a call may end with a ReLU.

    Args:
        call: of a flat graph.
    """
    if call.kind == "affine":
        return call.activation == "linear"
    fused = type(call.operation).__name__ in ("Multiply", "Subtract")
    return call.kind in ("batch_norm", "add") or (call.kind == "float" and fused)


def fixed_scale(call: Call, policy: Policy, *, of_input: bool) -> float | None:
    """Returns the constant scale of what a call makes, None where it is that of the batch.

    It is 128 steps of an input that a Rescaling puts on the integers -128..127, and of a function
    what devices prescribe.

    Args:
        call: of a flat graph.
        policy: of the edge behind it.
        of_input: whether it reads an input of the model.
    """
    layer, function = call.operation, function_of(call)
    if policy.k_A != 8:
        return None
    if function is not None:
        return _SCALES.get(function) if policy.A_at == "every_tensor" else None
    if not (isinstance(layer, _L.Rescaling) and of_input):
        return None
    scale, offset = layer.scale, layer.offset
    if not isinstance(scale, int | float) or not isinstance(offset, int | float):
        return None
    return 128.0 * scale if offset == -128 * scale else None
