"""The table of objects says what the layers quantize."""

import keras

from tfquantseg.layers import QuantEdge, object_table, objects
from tfquantseg.policy import FLOAT, INTEGER, PAPER_FCN, Policy
from tfquantseg.transform import quantize


def _quantized(policy: Policy) -> keras.Model:
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Rescaling(1 / 128, offset=-1, name="grid")(image)
    x = keras.layers.Conv2D(4, 3, use_bias=False, name="first")(x)
    x = keras.layers.BatchNormalization(name="bn")(x)
    x = keras.layers.ReLU(name="relu")(x)
    return quantize(keras.Model(image, keras.layers.Conv2D(2, 1, name="last")(x)), policy)


def test_every_object_of_integer_is_listed_once_with_its_bits() -> None:
    rows = objects(_quantized(INTEGER))
    bits = {(layer, name): k for layer, name, k, _ in rows}
    assert len(bits) == len(rows)
    assert bits == {
        ("grid_A", "A"): 8,
        ("grid_A", "E1"): 8,
        ("first", "W"): 8,
        ("first", "E2"): 8,
        ("first", "G"): 8,
        ("first", "U"): 24,
        ("bn", "mu"): 16,
        ("bn", "sigma"): 16,
        ("bn", "gamma"): 8,
        ("bn", "beta"): 8,
        ("bn", "x_hat"): None,
        ("bn", "G"): 8,
        ("bn", "U"): 24,
        ("relu_A", "A"): 8,
        ("relu_A", "E1"): 8,
        ("last", "W"): 8,
        ("last", "bias"): 24,
        ("last", "E2"): 8,
        ("last", "G"): 8,
        ("last", "U"): 24,
        ("last_A", "A"): 8,
    }


def test_limits_and_steps_are_those_of_the_layers() -> None:
    model = _quantized(INTEGER)
    rows = {(layer, name): on for layer, name, _, on in objects(model)}
    assert rows["grid_A", "A"] == "step 0.0078125"  # 1/128, the grid of the pixels
    limits = model.get_layer("first").W_limit
    assert rows["first", "W"] == f"limit {min(limits):g} to {max(limits):g}, one a channel"
    assert rows["bn", "mu"] == "limit 64"
    assert rows["relu_A", "A"].startswith("step max/127 of the batch")
    assert isinstance(model.get_layer("relu_A"), QuantEdge)


def test_paper_leaves_the_error_behind_batch_norm_wide() -> None:
    rows = {(layer, name): k for layer, name, k, _ in objects(_quantized(PAPER_FCN))}
    assert rows["first", "E2"] is None
    assert rows["bn", "E2"] == 8
    assert rows["last", "E1"] == 8


def test_the_text_has_a_line_a_row_and_says_when_there_is_none() -> None:
    model = _quantized(INTEGER)
    assert object_table(model).count("\n") == len(objects(model)) + 1
    assert object_table(_quantized(FLOAT)) == "Nothing is quantized: a float model.\n"


def test_a_policy_prints_as_a_table() -> None:
    lines = str(PAPER_FCN).splitlines()
    assert lines[0] == "PAPER_FCN, rounding half_up"
    assert lines[2] == "W           8  limit 1.0"
    assert any(line.startswith("G ") and "scale dropped, Eq 18" in line for line in lines)
    assert "float  -" in str(FLOAT)
