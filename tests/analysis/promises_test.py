"""What the policies of layers promise of each operand."""

import keras
from keras import layers

from tfquantseg.analysis.promises import Promise, letters_of, promises_of
from tfquantseg.policy import FLOAT, INTEGER, PAPER_FCN, Policy, Rules
from tfquantseg.transform import quantize


def _model() -> keras.Model:
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, use_bias=False, name="normed")(image)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="bn")(x))
    return keras.Model(image, layers.Conv2DTranspose(2, 2, name="transposed")(x))


def _promises(rules: Policy | Rules) -> dict[tuple[str, str], tuple[Promise, Promise]]:
    return promises_of(quantize(_model(), rules))


def test_integer_promises_8_bits_of_each_operand() -> None:
    promised = _promises(INTEGER)
    assert set(promised.values()) == {(Promise(8), Promise(8))}
    assert len(promised) == 2 * 3


def test_what_follows_relu_may_be_promised_to_be_unsigned() -> None:
    promised = _promises(INTEGER.changed("A_sign=unsigned_after_relu"))
    assert promised["normed", "forward"] == (Promise(8), Promise(8))
    # Of a transposed convolution the letters are the other way round: W and A, E and A.
    unsigned = Promise(8, unsigned=True)
    assert promised["transposed", "forward"] == (Promise(8), unsigned)
    assert promised["transposed", "weight_gradient"] == (Promise(8), unsigned)


def test_an_error_that_a_batch_norm_quantizes_is_not_promised_to_a_convolution() -> None:
    assert _promises(PAPER_FCN)["normed", "weight_gradient"] == (Promise(8), Promise(32))


def test_float_layers_promise_nothing() -> None:
    promised = _promises(Rules((("transposed", FLOAT), (".*", INTEGER))))
    assert {layer for layer, _ in promised} == {"normed"}
    assert promises_of(_model()) == {}


def test_letters_turn_round_in_transposed_convolutions() -> None:
    for model in (_model(), quantize(_model(), INTEGER)):
        assert letters_of(model, "normed", "input_gradient") == ("W", "E")
        assert letters_of(model, "transposed", "input_gradient") == ("E", "W")


def test_the_last_integer_of_a_grid() -> None:
    assert (Promise(8).last, Promise(8, unsigned=True).last) == (127, 255)
