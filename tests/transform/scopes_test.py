"""Names that Keras takes and TensorFlow's graphs don't are refused before anything is trained."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfquantseg import IntegerSGD
from tfquantseg.policy import FLOAT, INTEGER
from tfquantseg.transform import plan, quantize

L = keras.layers
GOOD = ["_first", "-first", "1st", "a.b", "a>b", "A"]
BAD = ["my layer", "étage", "a:b", "a\\b", "層", "a@"]


def _model(layer: str = "conv", *, image: str = "image", name: str = "net") -> keras.Model:
    x = keras.Input((8, 8, 3), name=image)
    y = L.Rescaling(1 / 128, offset=-1)(x)
    y = L.Conv2D(4, 3, activation="relu", name=layer)(y)
    return keras.Model(x, L.Conv2D(2, 1, name="logits")(y), name=name)


def _in_graph(model: keras.Model) -> None:
    tf.function(model, jit_compile=False)(np.ones((1, 8, 8, 3), np.float32))


def test_names_that_graphs_take_train() -> None:
    x = keras.Input((8, 8, 3), name="image")
    y = L.Rescaling(1 / 128, offset=-1)(x)
    for name in GOOD:
        y = L.Conv2D(2, 1, name=name)(y)
    model = quantize(keras.Model(x, y, name="1.a>b"), INTEGER)
    model.compile(optimizer=IntegerSGD(2.0**-6), loss="mse", jit_compile=False)
    model.fit(np.ones((2, 8, 8, 3)), np.ones((2, 8, 8, 2)), verbose=0)


@pytest.mark.parametrize("policy", [INTEGER, FLOAT], ids=lambda policy: policy.name)
@pytest.mark.parametrize("name", BAD)
def test_other_names_are_refused(name: str, policy) -> None:
    with pytest.raises(
        ValueError, match=r"\(Conv2D\) can't be a name in .*layer\.name = 'another'"
    ):
        plan(_model(name), policy)


def test_graphs_do_not_take_them() -> None:
    """The check is no stricter than TensorFlow."""
    for name in BAD:
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
            tf.function(lambda name=name: _scoped(name), jit_compile=False)()


def _scoped(name: str) -> tf.Tensor:
    with tf.name_scope("net"), tf.name_scope(name):
        return tf.zeros([2]) + tf.ones([2])


@pytest.mark.parametrize("name", ["my net", "_net", "-net"])
def test_a_models_name_begins_with_a_letter_or_digit(name: str) -> None:
    model = _model(name=name)
    with pytest.raises(ValueError, match=r"the model's name '.*net' .*model\.name = 'another'"):
        quantize(model, INTEGER)
    model.name = "another"
    _in_graph(quantize(model, INTEGER))


def test_a_renamed_layer_keeps_its_weights(tmp_path) -> None:
    model = _model("my layer")
    model.get_layer("my layer").name = "my_layer"
    quantized = quantize(model, INTEGER)
    x = np.full((1, 8, 8, 3), 200, np.float32)
    # Two 8-bit tensors and two 8-bit kernels.
    np.testing.assert_allclose(quantized(x), model(x), atol=0.05 * np.abs(model(x)).max())
    _in_graph(quantized)
    quantized.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), quantized(x))


def test_an_inputs_name_is_a_scope_only_where_it_is_quantized() -> None:
    _in_graph(quantize(_model(image="my image"), INTEGER))
    x = keras.Input((8, 8, 3), name="my image")
    with pytest.raises(ValueError, match=r"'my image' \(InputLayer\) .*keras\.Input another name"):
        plan(keras.Model(x, L.Conv2D(2, 1)(x), name="net"), INTEGER)
