"""What to write in place of what no 8-bit operation computes, for the messages of errors."""

_HARD = "hard_silu, which an Edge TPU maps too"
_ACTIVATIONS = {
    "celu": "leaky_relu",
    "elu": "leaky_relu",
    "exponential": "relu",
    "glu": "silu",
    "hard_shrink": "relu",
    "hard_tanh": "tanh",
    "log_sigmoid": "sigmoid, and its logarithm in the loss",
    "log_softmax": "softmax, and its logarithm in the loss",
    "mish": _HARD,
    "selu": "leaky_relu",
    "soft_shrink": "relu",
    "softplus": "relu",
    "softsign": "tanh",
    "sparse_plus": "relu",
    "sparse_sigmoid": "hard_sigmoid",
    "sparsemax": "softmax",
    "squareplus": "relu",
    "tanh_shrink": "tanh",
    "threshold": "relu",
}
_TYPES = {
    "Divide": "multiply by a gate such as hard_sigmoid",
    "ELU": "use LeakyReLU",
    "GaussianNoise": "leave it out",
    "GlobalMaxPooling2D": "use GlobalAveragePooling2D(keepdims=True)",
    "GroupNormalization": "use BatchNormalization",
    "InstanceNormalization": "use BatchNormalization",
    "LayerNormalization": "use BatchNormalization",
    "MultiHeadAttention": "use convolutions and a gate, as in squeeze-and-excite",
    "RMSNormalization": "use BatchNormalization",
    "ReLU": "use relu or relu6",
    "SpectralNormalization": "use BatchNormalization",
    "UnitNormalization": "use BatchNormalization",
}


def instead_of_activation(name: str) -> str:
    """Returns a clause that says what to use in an activation's place; "" where nothing is known.

    Args:
        name: of the function.
    """
    known = _ACTIVATIONS.get(name)
    return f"; in place of {name} use {known}" if known else ""


def instead_of(operation: type) -> str:
    """Returns a clause that says what to use in place of a layer or op; "" where none is known.

    Args:
        operation: its type.
    """
    name = operation.__name__
    snake = "".join("_" + one.lower() if one.isupper() else one for one in name).lstrip("_")
    known = _TYPES.get(name) or (f"use {_ACTIVATIONS[snake]}" if snake in _ACTIVATIONS else "")
    return f"; {known}" if known else ""
