"""Draft: the network that a model will be frozen to, known before it is trained.

What a file consists of - operators, their versions, shapes, bytes - does not depend on what the
model learns, but for two things that training alone gives: steps, and biases that are not zero (a
transposed convolution with a bias is another version of its operator). Both get placeholders.
"""

import keras

from tfquantseg.export.freeze import freeze
from tfquantseg.export.network import Network
from tfquantseg.layers import (
    BatchNorm,
    QuantConv2D,
    QuantConv2DTranspose,
    QuantDepthwiseConv2D,
    QuantEdge,
    hold_scales,
)

_BIAS = 2.0**-6  # on every grid that biases lie on; any value but 0 will do
_MEAN = 2.0**-4  # the same of mu


def draft(model: keras.Model, height: int, width: int) -> Network:
    """Returns the integer network that a model will be frozen to, for its structure only.

    Its steps, and biases that are zero until a model is trained, are placeholders: what it computes
    means nothing. The same are written into the model, which is spoiled by it.

    Args:
        model: what `quantize` returned, trained or not; not to be used afterwards.
        height: of the image in pixels; a multiple of the model's stride.
        width: the same.

    Returns:
        The network.

    Raises:
        ValueError: as `freeze`, but for a model that was not trained.
    """
    scales = {}
    for layer in model.layers:
        if isinstance(layer, QuantConv2D | QuantDepthwiseConv2D | QuantConv2DTranspose):
            if layer.bias is not None:
                layer.bias.assign([_BIAS] * layer.filters)
        elif isinstance(layer, BatchNorm):
            layer.moving_mu.assign([_MEAN] * layer.moving_mu.shape[0])
        elif isinstance(layer, QuantEdge) and layer.fixed_scale is None:
            scales[layer.name] = 1.0
    hold_scales(model, scales)
    return freeze(model, height, width)
