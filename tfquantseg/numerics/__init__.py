"""Grids, where they act, and convolutions of integers: tensors only, no Keras."""

from tfquantseg.numerics.activations import relu
from tfquantseg.numerics.batch_norm import Normalized, normalize, normalize_batch
from tfquantseg.numerics.convolutions import PRODUCTS, Convolution
from tfquantseg.numerics.errors import (
    EncodedError,
    encode_error,
    encode_error_pair,
    encode_value,
    is_finite,
    product,
    quantize_error,
    quantize_gradient,
    quantize_value,
    round_on_step,
)
from tfquantseg.numerics.grids import (
    Clip,
    Quantized,
    Scaled,
    Uniform,
    delta,
    largest_magnitude,
    levels,
)
from tfquantseg.numerics.packing import pack, pack24, unpack, unpack24
from tfquantseg.numerics.pooling import max_pool
from tfquantseg.numerics.rounding import (
    Rounding,
    round_half_away,
    round_half_up,
    round_stochastic,
)
from tfquantseg.numerics.scales import DEVIATIONS, PERCENTILE, ScaleOf, scale_of
from tfquantseg.numerics.taps import tap, tap_rounding, tapped_roundings
from tfquantseg.numerics.updates import Counts, encode_gradient, poisoned, update_weight

__all__ = [
    "DEVIATIONS",
    "PERCENTILE",
    "PRODUCTS",
    "Clip",
    "Convolution",
    "Counts",
    "EncodedError",
    "Normalized",
    "Quantized",
    "Rounding",
    "ScaleOf",
    "Scaled",
    "Uniform",
    "delta",
    "encode_error",
    "encode_error_pair",
    "encode_gradient",
    "encode_value",
    "is_finite",
    "largest_magnitude",
    "levels",
    "max_pool",
    "normalize",
    "normalize_batch",
    "pack",
    "pack24",
    "poisoned",
    "product",
    "quantize_error",
    "quantize_gradient",
    "quantize_value",
    "relu",
    "round_half_away",
    "round_half_up",
    "round_on_step",
    "round_stochastic",
    "scale_of",
    "tap",
    "tap_rounding",
    "tapped_roundings",
    "unpack",
    "unpack24",
    "update_weight",
]
