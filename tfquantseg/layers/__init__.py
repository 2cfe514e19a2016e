"""Keras layers over the numerics: nodes own W, bias and E2; edges own A and E1."""

from tfquantseg.layers.activation import LeanReLU
from tfquantseg.layers.affine import Affine, factor_and_offset, is_affine
from tfquantseg.layers.batch_norm import BatchNorm, clipped_statistics, deviation_ratio
from tfquantseg.layers.convolutions import (
    QuantConv2D,
    QuantConv2DTranspose,
    QuantDense,
    QuantDepthwiseConv2D,
)
from tfquantseg.layers.edge import Product, QuantEdge, hold_scales, set_evaluation_scales
from tfquantseg.layers.objects import object_table, objects
from tfquantseg.layers.on_integers import (
    LeanMaxPooling2D,
    QuantDropout,
    RoundOnStep,
    StaysOnGrid,
)
from tfquantseg.layers.prelu import QuantPReLU

__all__ = [
    "Affine",
    "BatchNorm",
    "LeanMaxPooling2D",
    "LeanReLU",
    "Product",
    "QuantConv2D",
    "QuantConv2DTranspose",
    "QuantDense",
    "QuantDepthwiseConv2D",
    "QuantDropout",
    "QuantEdge",
    "QuantPReLU",
    "RoundOnStep",
    "StaysOnGrid",
    "clipped_statistics",
    "deviation_ratio",
    "factor_and_offset",
    "hold_scales",
    "is_affine",
    "object_table",
    "objects",
    "set_evaluation_scales",
]
