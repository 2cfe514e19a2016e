"""Builds a model by its name, as a configuration file gives it."""

import inspect
from collections.abc import Callable
from typing import Any

import keras

from tfquantseg.models.deeplab import deeplabv3_resnet50
from tfquantseg.models.efficientnet_lite0 import efficientnet_lite0
from tfquantseg.models.fcn8s import fcn8s_vgg16
from tfquantseg.models.residual_unet import residual_unet
from tfquantseg.names import unknown_name

_MODELS: dict[str, Callable[..., keras.Model]] = {
    "deeplabv3_resnet50": deeplabv3_resnet50,
    "efficientnet_lite0": efficientnet_lite0,
    "fcn8s_vgg16": fcn8s_vgg16,
    "residual_unet": residual_unet,
}


def names() -> tuple[str, ...]:
    """Returns the names that `build` accepts, in alphabetical order."""
    return tuple(sorted(_MODELS))


def build(name: str, **arguments: Any) -> keras.Model:
    """Builds a model by name.

    Args:
        name: one of `names()`.
        **arguments: those of the function of that name in `tfquantseg.models`.

    Returns:
        A functional model: float32 `[N, H, W, 3]`, RGB 0..255, to logits `[N, H, W, classes]`.

    Raises:
        ValueError: an unknown model or argument, with the nearest name; a missing argument; or
            whatever the model's own function refuses.
    """
    if name not in _MODELS:
        raise unknown_name("model", name, _MODELS)
    parameters = inspect.signature(_MODELS[name]).parameters
    for argument in arguments:
        if argument not in parameters:
            raise unknown_name(f"argument of model {name!r}", argument, parameters)
    for parameter in parameters.values():
        if parameter.default is parameter.empty and parameter.name not in arguments:
            raise ValueError(f"Model {name!r} needs the argument {parameter.name!r}; give it.")
    return _MODELS[name](**arguments)
