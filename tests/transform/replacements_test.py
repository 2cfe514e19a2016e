"""What is said of operations that have no plan."""

import keras
import pytest
from keras import ops

from tests.transform.networks import image
from tfquantseg.transform import replacements
from tfquantseg.transform.graph import is_known
from tfquantseg.transform.replacements import instead_of


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (keras.layers.GroupNormalization, "; use BatchNormalization, which folds into"),
        (keras.layers.Conv1D, "; use Conv2D and the other layers on images"),
        (keras.layers.Dense, ""),
    ],
)
def test_a_layer_is_replaced_by_one_that_has_a_plan(layer: type, said: str) -> None:
    assert instead_of(layer).startswith(said) and bool(instead_of(layer)) == bool(said)


def test_an_op_is_too() -> None:
    parts = ops.split(image(4), 2, axis=-1)
    assert "two convolutions" in instead_of(type(parts[0]._keras_history.operation))


def test_every_layer_that_is_named_has_no_plan() -> None:
    for name in replacements._TYPES:
        layer = getattr(keras.layers, name, None)
        # Of ReLU some settings have none.
        assert name == "ReLU" or layer is None or not is_known(object.__new__(layer)), name
