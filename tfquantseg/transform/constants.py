"""Constants of affine layers that no grid holds."""

from typing import Any

import keras
import numpy as np

from tfquantseg.layers import factor_and_offset
from tfquantseg.names import first_few


def constants_problem(operation: Any) -> str | None:
    """Returns what is wrong with the constants of an affine layer, None if nothing is.

    Args:
        operation: one of which `is_affine` is true.
    """
    if isinstance(operation, keras.layers.Normalization) and not operation.invert:
        variance = np.asarray(operation.variance, np.float64).reshape(-1)
        constant = np.flatnonzero(np.sqrt(variance) <= keras.config.epsilon())
        if constant.size:
            channels = first_few(map(str, constant))
            return (
                f"the data that it was adapted on never change in channel {channels}, so that it "
                f"multiplies by {1 / keras.config.epsilon():.0e} there; adapt it on the images you "
                "train on, or give it mean= and variance=, which is 1 of a channel that never "
                "changes"
            )
    if not all(np.isfinite(one).all() for one in factor_and_offset(operation)):
        return "its constants hold NaN or infinity"
    return None
