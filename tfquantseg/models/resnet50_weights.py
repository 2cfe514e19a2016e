r"""Pretrained weights of ResNet-50 into the encoder of `resnet50.features`.

Two sources: `"imagenet"`, what `keras.applications` downloads, and a local file of its models
(`.h5`, `.weights.h5`) or of any model with the same layer names (`.keras`). Three things differ
between those models and the encoder here, and all are moved without changing the function:

* a bias in front of a batch norm goes into the norm's mean, $\mu' = \mu - b$;
* the norm's epsilon, with $\gamma' = \gamma \sqrt{(\sigma^2 + \epsilon') / (\sigma^2 + \epsilon)}$;
* the preprocessing of the images goes into the first convolution (`preprocessing.py`, which says
  what that does at the zero-padded border).

Then channels too large for the fixed limits of PAPER_DEEPLAB give scale to the batch norm behind
them (`norm_scale.py`).
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tfquantseg.models.imagenet import downloaded
from tfquantseg.models.norm_scale import move_scale_into_norms
from tfquantseg.models.preprocessing import Preprocessing, find_preprocessing

_MODELS = {"v1": keras.applications.ResNet50, "v2": keras.applications.ResNet50V2}
_PREPROCESSED = {"v1": "caffe", "v2": "signed_127"}
_FIRST = "conv1_conv"


def load(
    model: keras.Model,
    source: str,
    *,
    version: str,
    preprocessing: str | Preprocessing | Mapping[str, Any] | None = None,
) -> None:
    """Gives a model's encoder pretrained weights.

    Args:
        model: contains the layers of `resnet50.features`, built with width 64.
        source: `"imagenet"`, or the path of an `.h5`, `.weights.h5` or `.keras` file.
        version: `"v1"` or `"v2"`.
        preprocessing: what the images of a local file's encoder went through: a `Preprocessing` or
            a name of `PREPROCESSINGS`. By default that of keras.applications: `"caffe"` for v1,
            `"signed_127"` for v2.

    Raises:
        ConnectionError: `"imagenet"` cannot be downloaded.
        ValueError: no such file, one that does not fit, an unknown preprocessing, or one given for
            `"imagenet"`, whose own is known.
    """
    if source == "imagenet" and preprocessing is not None:
        raise ValueError(
            f"Encoder 'imagenet' knows its preprocessing; leave preprocessing out (got "
            f"{preprocessing!r}), it is for weights from a local file."
        )
    expects = find_preprocessing(preprocessing or _PREPROCESSED[version])
    donor = _donor(source, version)
    known = {layer.name: layer for layer in donor.layers}
    mine = [layer for layer in model.layers if layer.name.startswith(("conv", "post_bn"))]
    for layer in mine:
        if layer.weights and layer.name not in known:
            raise ValueError(
                f"Encoder {source!r} has no layer {layer.name!r}; accepted are the weights of "
                f"keras.applications.{_MODELS[version].__name__}, and models with its layer names."
            )
    biases = {}
    for layer in mine:
        if isinstance(layer, keras.layers.Conv2D):
            biases[layer.name] = _load_convolution(layer, known[layer.name], expects, source)
    for layer in mine:
        if isinstance(layer, keras.layers.BatchNormalization):
            bias = biases.get(layer.name.removesuffix("_bn") + "_conv", 0.0)
            _load_batch_norm(layer, known[layer.name], bias)
    move_scale_into_norms(model)


def _donor(source: str, version: str) -> keras.Model:
    build = _MODELS[version]
    if source == "imagenet":
        return downloaded(build)
    path = pathlib.Path(source)
    if not path.is_file():
        raise ValueError(
            f"Encoder {source!r} is neither 'imagenet' nor a file; give the path of an .h5, "
            ".weights.h5 or .keras file."
        )
    try:
        if path.suffix == ".keras":
            return keras.saving.load_model(path, compile=False)
        donor = build(weights=None, include_top=False)
        donor.load_weights(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"Encoder file {source!r} does not hold the weights of keras.applications."
            f"{build.__name__} without its classifier: {error}"
        ) from error
    return donor


def _load_convolution(
    layer: keras.layers.Conv2D, donor: keras.layers.Conv2D, expects: Preprocessing, source: str
) -> np.ndarray | float:
    """Copies a kernel, and returns the bias that this layer has no place for."""
    kernel = donor.kernel.numpy()
    if kernel.shape != tuple(layer.kernel.shape):
        raise ValueError(
            f"Encoder {source!r}: {layer.name} has a kernel {kernel.shape}, the model's is "
            f"{tuple(layer.kernel.shape)}; pretrained weights need width 64."
        )
    bias = donor.bias.numpy() if donor.use_bias else np.zeros(kernel.shape[-1], np.float32)
    if layer.name == _FIRST:
        kernel, bias = expects.fold(kernel, bias)
    layer.kernel.assign(kernel)
    if not layer.use_bias:
        return bias
    layer.bias.assign(bias)
    return 0.0


def _load_batch_norm(
    layer: keras.layers.BatchNormalization,
    donor: keras.layers.BatchNormalization,
    bias: np.ndarray | float,
) -> None:
    """Copies a batch norm of another epsilon, behind a convolution that has lost its bias."""
    gamma, beta, mean, variance = (np.asarray(value, np.float64) for value in donor.get_weights())
    gamma = gamma * np.sqrt((variance + layer.epsilon) / (variance + donor.epsilon))
    layer.set_weights([gamma, beta, mean - bias, variance])
