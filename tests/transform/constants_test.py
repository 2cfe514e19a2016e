"""Constants of affine layers: what `quantize` refuses of them."""

import keras
import numpy as np
import pytest

from tests.transform.networks import conv, inputs_of, network
from tfquantseg.policy import INTEGER
from tfquantseg.transform import quantize
from tfquantseg.transform.constants import constants_problem

L = keras.layers


def _adapted(constant: tuple[int, ...], **options: bool) -> keras.layers.Layer:
    data = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)
    data[..., list(constant)] = 7
    layer = L.Normalization(name="normal", **options)
    layer.adapt(data)
    return layer


def test_a_channel_that_never_changed_is_named_by_quantize() -> None:
    model = network(lambda x: conv(_adapted((0, 2))(x), "one"), "net")
    # As Keras computes it: a pixel one away from the constant becomes 1e7.
    assert np.abs(model(inputs_of(model))).max() > 1e5
    with pytest.raises(
        ValueError,
        match=r"'normal' \(Normalization\): .*never change in channel 0, 2, .* by 1e\+07",
    ):
        quantize(model, INTEGER)


def test_what_keras_divides_by_a_deviation_is_planned() -> None:
    assert constants_problem(_adapted(())) is None
    given = L.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 9.0])
    given.build((None, 8, 8, 3))
    assert constants_problem(given) is None
    assert constants_problem(_adapted((1,), invert=True)) is None  # It multiplies by 1e-7.


def test_constants_that_are_no_numbers_are_refused() -> None:
    assert constants_problem(L.Rescaling(np.nan)) == "its constants hold NaN or infinity"
