"""What is asked of a network that was loaded."""

import numpy as np
import pytest

from tests.training.networks import threshold
from tfquantseg.policy import preset
from tfquantseg.training import loaded
from tfquantseg.transform import quantize


def test_a_network_of_integers_is_told_from_a_float_one() -> None:
    model = threshold(8, 8)
    assert not loaded.is_quantized(model)
    assert loaded.is_quantized(quantize(model, preset("INTEGER")))


def test_weights_that_are_no_numbers_are_named() -> None:
    model = threshold(8, 8)
    loaded.check_finite(model, "a run")
    model.get_layer("logits").bias.assign(np.array([0.0, np.nan], np.float32))
    with pytest.raises(ValueError, match="a run: 1 of the 2 values of logits/bias are not finite"):
        loaded.check_finite(model, "a run")
