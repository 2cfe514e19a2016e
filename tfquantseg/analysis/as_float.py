"""The float network that computes what a quantized one would, were nothing rounded."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfquantseg.layers import (
    BatchNorm,
    QuantConv2D,
    QuantConv2DTranspose,
    QuantDepthwiseConv2D,
)
from tfquantseg.layers.batch_norm import deviation_ratio

_CONVOLUTIONS = (QuantConv2D, QuantDepthwiseConv2D, QuantConv2DTranspose)


def copy_masters(quantized: keras.Model, to: keras.Model) -> None:
    """Gives a float network the master weights and the statistics of a quantized one.

    It is the inverse of what `quantize` does: of a norm with ratio r, ``sqrt(var + eps) =
    (sigma + eps) / r`` and gamma by the same r, with r = sqrt(2/pi) for L1 and 1 for L2.

    Args:
        quantized: what `quantize` made of a network of this architecture, trained or not.
        to: the float network; its weights change.

    Raises:
        ValueError: a layer with weights that the quantized network does not have, or has in another
            shape.
    """
    layers = {layer.name: layer for layer in quantized.layers}
    for layer in to.layers:
        if not layer.weights:
            continue
        found = layers.get(layer.name)
        if found is None:
            raise ValueError(
                f"{layer.name!r} of the float network has no layer of its name in "
                f"{quantized.name!r}; give networks of one recipe."
            )
        try:
            layer.set_weights(_weights(found, layer))
        except ValueError as error:
            raise ValueError(
                f"{layer.name!r} has other weights in {quantized.name!r}: {error}"
            ) from error


def _weights(quantized: Any, layer: Any) -> list[np.ndarray]:
    """The weights of one layer in the order of its float twin's `get_weights`."""
    if isinstance(quantized, _CONVOLUTIONS):
        kernel = np.asarray(quantized.kernel)
        if not layer.use_bias:
            return [kernel]
        bias = np.asarray(quantized.bias) if quantized.use_bias else np.zeros(layer.bias.shape)
        return [kernel, bias]
    if isinstance(quantized, BatchNorm):
        # Without a gamma to carry the ratio, `quantize` leaves the deviation that of L2.
        ratio = deviation_ratio(quantized.policy.norm) if quantized.scale else 1.0
        deviation = (np.asarray(quantized.moving_sigma) + quantized.epsilon) / ratio
        variance = np.maximum(deviation**2 - layer.epsilon, 0.0)
        gamma = [np.asarray(quantized.gamma) / ratio] if quantized.scale else []
        beta = [np.asarray(quantized.beta)] if quantized.center else []
        return [*gamma, *beta, np.asarray(quantized.moving_mu), variance]
    return list(quantized.get_weights())
