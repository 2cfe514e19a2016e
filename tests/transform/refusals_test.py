"""What quantize refuses, beyond single layers, and what it does under Keras's global settings."""

import keras
import numpy as np
import pytest

from tfquantseg.policy import INTEGER, Rules
from tfquantseg.transform import quantize


def _model(dtype: str = "float32") -> keras.Model:
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), dtype=dtype)
    x = keras.layers.Conv2D(4, 3, activation="relu", name="first")(image)
    return keras.Model(image, keras.layers.Conv2D(2, 1, name="last")(x), name="net")


@pytest.mark.parametrize("rules", ["INTEGER", None, {"policy": "INTEGER"}])
def test_a_presets_name_is_no_policy(rules) -> None:
    with pytest.raises(ValueError, match=r"must be a Policy or Rules.*preset\(NAME\)"):
        quantize(_model(), rules)


def test_a_rule_names_a_policy() -> None:
    with pytest.raises(ValueError, match=r"rule '\.\*' must name a Policy, received 'INTEGER'"):
        Rules(((".*", "INTEGER"),))


def test_a_quantized_model_is_not_quantized_again() -> None:
    with pytest.raises(ValueError, match="'net' is quantized already; give the float model"):
        quantize(quantize(_model(), INTEGER), INTEGER)


def test_something_else_than_a_model() -> None:
    with pytest.raises(ValueError, match=r"must be a keras\.Model, received a NoneType"):
        quantize(None, INTEGER)


@pytest.mark.parametrize("weight", ["kernel", "bias"])
def test_weights_that_no_grid_holds_are_named(weight: str) -> None:
    model = _model()
    variable = getattr(model.get_layer("first"), weight)
    variable.assign(np.full(variable.shape, 1e30, np.float32))
    with pytest.raises(ValueError, match=rf"'first': {weight} reaches 1e\+30"):
        quantize(model, INTEGER)


def test_integer_images_are_taken_as_numbers() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3))
    as_bytes = quantize(_model("uint8"), INTEGER)(images.astype(np.uint8))
    as_floats = quantize(_model(), INTEGER)(images.astype(np.float32))
    np.testing.assert_array_equal(as_bytes, as_floats)


def test_a_global_mixed_precision_changes_nothing() -> None:
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    model = _model()
    expected = quantize(model, INTEGER)(images)
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        received = quantize(model, INTEGER)(images)
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    np.testing.assert_array_equal(received, expected)
