"""Semantic segmentation with 8-bit integers in all three products of every convolution.

What most programs need is here, imported when it is first used:

    from tfquantseg import IntegerSGD, losses, preset, quantize
    model = quantize(float_model, preset("INTEGER"))
    model.compile(IntegerSGD(2**-6, momentum=0.875), losses.softmax_cross_entropy)
"""

import importlib
from typing import Any

_PLACES = {
    "IntegerSGD": "tfquantseg.optimizer",
    "Policy": "tfquantseg.policy",
    "Rules": "tfquantseg.policy",
    "audit": "tfquantseg.analysis",
    "hold_scales": "tfquantseg.layers",
    "object_table": "tfquantseg.layers",
    "plan": "tfquantseg.transform",
    "preset": "tfquantseg.policy",
    "presets": "tfquantseg.policy",
    "quantize": "tfquantseg.transform",
    "register": "tfquantseg.transform",
    "set_evaluation_scales": "tfquantseg.layers",
    "training_step": "tfquantseg.training.step",
}
_MODULES = ("data", "export", "losses", "metrics", "models", "pictures", "schedules")

__all__ = [*_PLACES, *_MODULES]


def __getattr__(name: str) -> Any:
    """Imports a name of `__all__` from where it is defined."""
    if name in _MODULES:
        return importlib.import_module(f"tfquantseg.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module 'tfquantseg' has no attribute {name!r}.")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    """Lists the names, so that completion finds them before they are imported."""
    return sorted({*globals(), *__all__})
