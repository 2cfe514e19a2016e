"""What is said of operations that have no plan."""

import keras
import pytest
from keras import ops

from tests.transform.networks import image
from tfquantseg.transform import instead
from tfquantseg.transform.graph import is_known
from tfquantseg.transform.instead import instead_of


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (keras.layers.GroupNormalization(2), " Replace it by BatchNormalization, which folds into"),
        (keras.layers.Conv1D(2, 3), " Replace it by Conv2D and the other layers on images"),
        (keras.layers.ReLU(), ""),
    ],
)
def test_a_layer_is_replaced_by_one_that_has_a_plan(layer, said: str) -> None:
    assert instead_of(layer).startswith(said) and bool(instead_of(layer)) == bool(said)


def test_an_op_is_too() -> None:
    parts = ops.split(image(4), 2, axis=-1)
    assert "two convolutions" in instead_of(parts[0]._keras_history.operation)


def test_every_layer_that_is_named_has_no_plan() -> None:
    for name in instead._INSTEAD:
        layer = getattr(keras.layers, name, None)
        assert layer is None or not is_known(object.__new__(layer)), name
