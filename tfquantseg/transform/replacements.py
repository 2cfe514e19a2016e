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
_NORM = "use BatchNormalization, which folds into the convolution before it"
_IMAGES = "use Conv2D and the other layers on images [N, H, W, C]"
_TWO_TENSORS = "use Dense or Conv2D: products of two activations over positions have no plan"
_ORDER = (
    "leave the dimensions in their order: a convolution with a kernel of 1 mixes, adds or leaves "
    "out channels"
)
_AUGMENT = "change images before the model, as tfquantseg.data.batches(training=True) does"
_NO_ATTENTION = "use convolutions and a gate, as in squeeze-and-excite"
_TYPES = {
    "AdaptiveAveragePooling2D": "use AveragePooling2D, or GlobalAveragePooling2D",
    "AdaptiveMaxPooling2D": "use MaxPooling2D",
    "Attention": _NO_ATTENTION,
    "Argmax": "end the model with its logits; a file gives classes by convert --logits=argmax",
    "Average": "use Add, and multiply what it makes by a constant",
    "AveragePool": "use AveragePooling2D",
    "Clip": "use ReLU, or ReLU(6)",
    "Conv1D": _IMAGES,
    "Conv3D": _IMAGES,
    "DepthwiseConv1D": _IMAGES,
    "Divide": "multiply by a gate such as hard_sigmoid",
    "ELU": "use LeakyReLU",
    "Einsum": _TWO_TENSORS,
    "EinsumDense": "use Dense, or Conv2D with a kernel of 1",
    "Embedding": "use convolutions",
    "GRU": "use convolutions",
    "GaussianDropout": "use Dropout",
    "GaussianNoise": "use Dropout",
    "GetItem": "crop height and width with Cropping2D; in place of some of the channels, or of "
    "another order of them, let a convolution make, or read, them so",
    "GlobalMaxPooling2D": "use MaxPooling2D over the whole size, or GlobalAveragePooling2D",
    "GroupNormalization": _NORM,
    "InstanceNormalization": _NORM,
    "LSTM": "use convolutions",
    "Lambda": "call its keras.ops on tensors directly, or write a layer of your own",
    "LayerNormalization": _NORM,
    "Matmul": _TWO_TENSORS,
    "MaxPool": "use MaxPooling2D",
    "MultiHeadAttention": _NO_ATTENTION,
    "Permute": _ORDER,
    "RMSNormalization": _NORM,
    "RandomBrightness": _AUGMENT,
    "RandomContrast": _AUGMENT,
    "RandomFlip": _AUGMENT,
    "RandomRotation": _AUGMENT,
    "RandomTranslation": _AUGMENT,
    "RandomZoom": _AUGMENT,
    "ReLU": "use relu or relu6",
    "Repeat": "leave it out before Add, Multiply or Subtract, which repeat a single channel or "
    "position by themselves; else use Concatenate",
    "SeparableConv1D": _IMAGES,
    "SpectralNormalization": "use the layer inside it, its weights normalized once",
    "Split": "use two convolutions with a kernel of 1 that each make a part of the channels",
    "Squeeze": "use Flatten or Reshape",
    "Transpose": _ORDER,
    "UnitNormalization": _NORM,
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
