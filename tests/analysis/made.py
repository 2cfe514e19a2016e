"""A tensor of a step, made by hand."""

import numpy as np

from tfquantseg.analysis.observed import Observed


def observed(owner: str, letter: str, values: list[float], integers: list[int] | None) -> Observed:
    made = None if integers is None else np.array(integers, np.float32)
    return Observed(owner, letter, np.array(values, np.float32), made)
