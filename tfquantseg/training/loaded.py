"""What a command asks of a network that it has loaded: does it multiply integers, is it sound."""

from __future__ import annotations

import keras
import numpy as np

from tfquantseg.layers import QuantEdge


def is_quantized(model: keras.Model) -> bool:
    """Whether a network multiplies integers anywhere."""
    return any(isinstance(layer, QuantEdge) for layer in model.layers)


def check_finite(model: keras.Model, where: str) -> None:
    """Checks that a network's weights are numbers.

    Args:
        model: The network.
        where: What it was loaded from, for the message.

    Raises:
        ValueError: A weight is not finite; names the variable.
    """
    for variable in model.variables:
        value = np.asarray(variable)
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            count = int(np.count_nonzero(~np.isfinite(value)))
            raise ValueError(
                f"{where}: {count} of the {value.size} values of {variable.path} are not finite. "
                "Give an earlier checkpoint, or train again with a lower learning rate."
            )
