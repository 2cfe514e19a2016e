"""Semantic segmentation with 8-bit integers in all three products of every convolution.

The names that most programs need are here, imported when they are first used:

    import tfquantseg
    model = tfquantseg.quantize(float_model, tfquantseg.preset("INTEGER"))
    model.compile(tfquantseg.IntegerSGD(2**-6, momentum=0.875), loss)
"""

import importlib
from typing import Any

_PLACES = {
    "IntegerSGD": "tfquantseg.optimizer",
    "Policy": "tfquantseg.policy",
    "Rules": "tfquantseg.policy",
    "audit": "tfquantseg.analysis",
    "plan": "tfquantseg.transform",
    "preset": "tfquantseg.policy",
    "presets": "tfquantseg.policy",
    "quantize": "tfquantseg.transform",
    "register": "tfquantseg.transform",
    "set_evaluation_scales": "tfquantseg.layers",
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    """Imports a name of `__all__` from where it is defined."""
    if name not in _PLACES:
        raise AttributeError(f"module 'tfquantseg' has no attribute {name!r}.")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    """Lists the names, so that completion finds them before they are imported."""
    return sorted({*globals(), *__all__})
