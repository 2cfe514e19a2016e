r"""Moves scale from convolutions into the batch norms behind them, so that both fit fixed limits.

A batch norm takes away whatever factor c > 0 its convolution's output has, channel by channel. So

    W' = c W,    b' = c b,    mu' = c mu,    sigma'^2 + eps = c^2 (sigma^2 + eps)          (1)

leaves its output as it is, where sigma^2 is the moving variance. Here c is the largest power of
two, at most 1, that brings a channel within the limits; most channels of a trained network keep
c = 1. A power of two changes no digit of W. Where c is so small that (1) asks for a negative
variance, that becomes 0 and gamma makes up for the rest.

Training behaves otherwise afterwards in one respect: a smaller W turns faster under the same step.

What (1) cannot move stays, and `quantize` names it: gamma and beta beyond their limit, and the
statistics of a batch norm that follows no convolution.
"""

import math

import keras
import numpy as np
from keras import layers

_W_STEP, _STATISTICS_STEP = 2.0**-7, 2.0**-15  # of grids of 8 and of 16 bits, Eq 1
_CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.Conv2DTranspose)


def move_scale_into_norms(
    model: keras.Model, *, weight_limit: float = 1.0, norm_limit: float = 2.0
) -> dict[str, int]:
    """Rescales convolutions and the batch norms behind them, in place, within fixed limits.

    The model computes the same function in evaluation, up to float32's rounding. The limits are
    those of PAPER_DEEPLAB unless others are given.

    Args:
        model: a functional model of layers, each called once.
        weight_limit: of weights and biases: afterwards max|W| <= L (1 - 2^-7), what 8 bits hold.
        norm_limit: of batch norm's mean and deviation, of 16 bits.

    Returns:
        For each convolution that a batch norm alone reads, how many channels were rescaled.

    Raises:
        ValueError: the model calls a layer twice.
    """
    most = weight_limit * (1 - _W_STEP)
    most_of_norm = norm_limit * (1 - _STATISTICS_STEP)
    return {
        convolution.name: _rescale(convolution, norm, most, most_of_norm)
        for convolution, norm in _pairs(model)
    }


def _pairs(
    model: keras.Model,
) -> list[tuple[keras.Layer, layers.BatchNormalization]]:
    """Finds the convolutions without activation whose output goes into one batch norm alone."""
    made = {id(pixels) for pixels in keras.tree.flatten(model.inputs)}
    makers: dict[int, keras.Layer] = {}
    readers: dict[int, list[keras.Layer | None]] = {}
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        for tensor in keras.tree.flatten(layer.input):
            _check_made(tensor, made)
            readers.setdefault(id(tensor), []).append(layer)
        made.update(map(id, keras.tree.flatten(layer.output)))
        if isinstance(layer, _CONVOLUTIONS) and layer.activation == keras.activations.linear:
            makers[id(layer.output)] = layer
    for tensor in keras.tree.flatten(model.outputs):
        _check_made(tensor, made)
        readers.setdefault(id(tensor), []).append(None)
    return [
        (maker, readers[key][0])
        for key, maker in makers.items()
        if len(readers[key]) == 1 and isinstance(readers[key][0], layers.BatchNormalization)
    ]


def _check_made(tensor: keras.KerasTensor, made: set[int]) -> None:
    """Refuses a tensor that is not the output of a layer's first call."""
    if id(tensor) not in made:
        raise ValueError(
            f"Tensor {tensor.name!r} of shape {tensor.shape} comes from a layer that is called a "
            "second time; move_scale_into_norms needs a functional model that calls each layer "
            "once."
        )


def _rescale(
    convolution: keras.Layer,
    norm: layers.BatchNormalization,
    most: float,
    most_of_norm: float,
) -> int:
    """Applies Eq (1) to a pair and returns how many channels it changed."""
    kernel = np.asarray(convolution.kernel, np.float64)
    bias = np.asarray(convolution.bias, np.float64) if convolution.use_bias else 0.0
    mean, variance = (np.asarray(v, np.float64) for v in (norm.moving_mean, norm.moving_variance))
    deviation = np.sqrt(variance + norm.epsilon)
    largest = np.maximum(_largest_by_channel(convolution, kernel), np.abs(bias))
    excess = np.maximum(largest / most, np.maximum(np.abs(mean), deviation) / most_of_norm)
    n = np.ceil(np.log2(np.maximum(excess, 1.0)))
    if not norm.scale:  # Nothing makes up for a variance that would have to be negative.
        n = np.minimum(n, np.floor(np.log2(deviation / math.sqrt(norm.epsilon))))
    c = 2.0**-n
    moved = np.maximum((c * deviation) ** 2 - norm.epsilon, 0.0)
    convolution.kernel.assign(kernel * _along_channels(convolution, c))
    if convolution.use_bias:
        convolution.bias.assign(bias * c)
    if norm.scale:
        remainder = np.sqrt(moved + norm.epsilon) / (c * deviation)
        norm.gamma.assign(np.asarray(norm.gamma, np.float64) * remainder)
    norm.moving_mean.assign(c * mean)
    norm.moving_variance.assign(moved)
    return int(np.count_nonzero(n))


def _largest_by_channel(convolution: keras.Layer, kernel: np.ndarray) -> np.ndarray:
    """Returns max|W| of each output channel."""
    magnitude = np.abs(kernel)
    if isinstance(convolution, layers.DepthwiseConv2D):
        return magnitude.max((0, 1)).reshape(-1)
    return magnitude.max((0, 1, 3 if isinstance(convolution, layers.Conv2DTranspose) else 2))


def _along_channels(convolution: keras.Layer, factors: np.ndarray) -> np.ndarray:
    """Returns one factor an output channel in a shape that multiplies the kernel."""
    if isinstance(convolution, layers.DepthwiseConv2D):
        return factors.reshape(convolution.kernel.shape[2:])
    if isinstance(convolution, layers.Conv2DTranspose):
        return factors[:, None]
    return factors
