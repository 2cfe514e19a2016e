"""What to build a network of in place of operations that have no plan."""

from typing import Any

_NORM = "BatchNormalization, which folds into the convolution before it"
_FLAT = "Conv2D and the other layers on images [N, H, W, C]"
_INSTEAD = {
    "LayerNormalization": _NORM,
    "GroupNormalization": _NORM,
    "UnitNormalization": _NORM,
    "RMSNormalization": _NORM,
    "SpectralNormalization": "the layer inside it, its weights normalized once",
    "Conv1D": _FLAT,
    "Conv3D": _FLAT,
    "SeparableConv1D": _FLAT,
    "DepthwiseConv1D": _FLAT,
    "EinsumDense": "Dense, or Conv2D with a kernel of 1",
    "GlobalMaxPooling2D": "MaxPooling2D over the whole size, or GlobalAveragePooling2D",
    "AdaptiveAveragePooling2D": "AveragePooling2D, or GlobalAveragePooling2D",
    "AdaptiveMaxPooling2D": "MaxPooling2D",
    "Lambda": "the keras.ops that it calls, on tensors directly, or a layer of your own",
    "Split": "two convolutions with a kernel of 1 that each make a part of the channels",
    "MultiHeadAttention": "convolutions: products of two activations have no plan",
    "Attention": "convolutions: products of two activations have no plan",
    "Matmul": "Dense or Conv2D: products of two activations have no plan",
    "Einsum": "Dense or Conv2D: products of two activations have no plan",
    "GaussianNoise": "Dropout",
    "GaussianDropout": "Dropout",
    "Average": "Add, and a convolution that halves its weights behind it",
    "LSTM": "convolutions",
    "GRU": "convolutions",
    "Embedding": "convolutions",
}


def instead_of(operation: Any) -> str:
    """Returns a sentence that says what to build a network of in place of an operation, or "".

    Args:
        operation: a Keras layer or op.
    """
    found = _INSTEAD.get(type(operation).__name__)
    return f" Replace it by {found}." if found else ""
