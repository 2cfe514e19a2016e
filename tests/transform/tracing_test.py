"""Models and layers whose call is a program become graphs, or it is said why they can't."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from tests.transform import networks
from tests.transform.networks import SIZE, conv, image, inputs_of, network
from tfquantseg.policy import INTEGER
from tfquantseg.transform import flatten, quantize, register


class Encoder(keras.Model):
    """A subclassed model of a convolution and a subclassed layer."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conv = layers.Conv2D(3, 3, padding="same", name="conv")
        self.block = networks.Block(name="block")

    def call(self, x: Any, training: bool = False) -> Any:
        return self.block(ops.relu(self.conv(x)), training=training)


class Segmenter(keras.Model):
    """A subclassed model with a subclassed and a functional model inside; it returns a dict."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.encoder = Encoder(name="encoder")
        self.head = keras.Sequential([layers.Conv2D(2, 1, name="conv"), layers.ReLU()], name="head")

    def call(self, inputs: Any, training: bool = False) -> Any:
        x = self.encoder(inputs["a"] + inputs["b"], training=training)
        return {"logits": self.head(x), "features": x}


def test_a_subclassed_model_that_was_called_is_flattened() -> None:
    keras.utils.set_random_seed(0)
    model = Segmenter(name="segmenter")
    x = {key: np.ones([2, 8, 12, 3], np.float32) * n for n, key in enumerate("ab", 1)}
    expected = model(x)
    flat = flatten(model)
    assert flat.name == "segmenter"
    assert {tensor.shape for tensor in flat.inputs} == {(None, 8, 12, 3)}
    keras.tree.map_structure(np.testing.assert_array_equal, flat(x), expected)
    assert not any(isinstance(one, Encoder | keras.Sequential) for one in flat.operations)
    assert sum(isinstance(one, layers.Conv2D) for one in flat.operations) == 4
    quantized = quantize(model, INTEGER)
    assert quantized(x)["logits"].shape == expected["logits"].shape
    assert {"conv", "block_conv", "inner_conv", "head_conv"} <= {
        layer.name for layer in quantized.layers
    }


def test_a_subclassed_model_in_a_functional_one_is_traced() -> None:
    model = network(lambda x: conv(Encoder(name="encoder")(x), "last"), "net")
    x = inputs_of(model)
    np.testing.assert_array_equal(flatten(model)(x), model(x))


def test_a_graph_whose_call_is_another_computes_what_call_says() -> None:
    class Doubled(keras.Model):
        """A functional model whose own call adds its output to itself."""

        def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
            y = super().call(inputs, training=training, mask=mask)
            return y + y

    x = image()
    model = Doubled(x, conv(x, "conv"), name="doubled")
    values = inputs_of(model)
    np.testing.assert_array_equal(flatten(model)(values), model(values))


class Halves(layers.Layer):
    """A layer without weights, of operations that have a plan."""

    def call(self, x: Any) -> Any:
        return ops.reshape(x, (-1, SIZE // 2, SIZE * 2, 3)) + ops.relu6(
            ops.reshape(x, (-1, SIZE // 2, SIZE * 2, 3))
        )


def test_a_layer_without_weights_is_traced_where_its_operations_are_known() -> None:
    flat = flatten(network(lambda x: conv(Halves(name="halves")(x), "conv"), "net"))
    assert not any(isinstance(operation, Halves) for operation in flat.operations)
    assert "halves_relu6" in {operation.name for operation in flat.operations}
    register(Halves, "float")
    flat = flatten(network(lambda x: conv(Halves(name="halves")(x), "conv"), "net"))
    assert any(isinstance(operation, Halves) for operation in flat.operations)


def test_a_lambda_is_traced_unless_it_calls_tensorflow() -> None:
    def body(x: Any) -> Any:
        return conv(layers.Lambda(lambda y: ops.tanh(y[0]) - y[1], name="less")([x, x]), "conv")

    model = network(body, "net")
    flat = flatten(model)
    assert not any(isinstance(layer, layers.Lambda) for layer in flat.layers)
    values = inputs_of(model)
    np.testing.assert_array_equal(flat(values), model(values))
    with pytest.raises(ValueError) as refused:
        flatten(network(lambda x: layers.Lambda(tf.image.flip_up_down, name="flip")(x), "net"))
    assert "'flip' (Lambda) has a call that can't be traced" in str(refused.value)
    assert "In call, let layers and keras.ops" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_model_that_was_never_called_is_refused() -> None:
    with pytest.raises(
        ValueError,
        match=r"'own' \(Encoder\) has no functional graph, and was never called: .*"
        r"Call it on a batch of images first, or build it with keras\.Model\(inputs, outputs\)",
    ):
        flatten(Encoder(name="own"))


def test_a_call_that_reads_values_is_refused() -> None:
    class Conditional(Encoder):
        """It looks at the values of a tensor, once it is told to."""

        looks = False

        def call(self, x: Any, training: bool = False) -> Any:
            y = super().call(x, training=training)
            return y if not self.looks or np.asarray(y).mean() > 0 else x

    model = Conditional(name="conditional")
    model(tf.ones([1, 8, 8, 3]))
    model.looks = True
    with pytest.raises(
        ValueError, match=r"'conditional' \(Conditional\) .* can't be traced .*let layers and "
    ):
        flatten(model)


def test_a_call_that_reads_values_from_the_first_is_not_said_to_be_missing() -> None:
    class Conditional(Encoder):
        """It looks at the values of a tensor when it is called first, too."""

        def call(self, x: Any, training: bool = False) -> Any:
            y = super().call(x, training=training)
            return y if tf.reduce_mean(y) > 0 else x

    model = Conditional(name="conditional")
    model(tf.ones([1, 8, 8, 3]))
    with pytest.raises(ValueError, match=r"'conditional' .*can't be traced: Keras kept no shapes"):
        flatten(model)


def test_what_a_call_returns_beside_tensors_is_named() -> None:
    class Optional(Encoder):
        """It has an output that is not there."""

        def call(self, x: Any, training: bool = False) -> Any:
            return {"logits": super().call(x, training=training), "features": None}

    model = Optional(name="optional")
    model(tf.ones([1, 8, 8, 3]))
    with pytest.raises(ValueError, match=r"'optional' \(Optional\) returns None beside tensors"):
        flatten(model)


def test_a_call_that_does_something_else_while_training_is_refused() -> None:
    class Cut(Encoder):
        """It cuts its output off while it trains."""

        def call(self, x: Any, training: bool = False) -> Any:
            y = super().call(x, training=training)
            return ops.relu(y) if training else y

    model = Cut(name="cut")
    model(tf.ones([1, 8, 8, 3]))
    with pytest.raises(ValueError, match=r"'cut' \(Cut\) calls other layers or ops where tr"):
        flatten(model)
    with pytest.raises(ValueError, match=r"'part' \(Cut\) calls other layers or ops where trai"):
        flatten(network(lambda x: conv(Cut(name="part")(x), "conv"), "net"))


def test_a_layer_without_weights_that_is_told_of_training_needs_a_plan() -> None:
    class Noise(layers.Layer):
        """A layer that would lose what it does in training."""

        def call(self, x: Any, training: bool = False) -> Any:
            return ops.relu(x) if training else x

    with pytest.raises(ValueError, match=r"'noise': no plan for operations of type .*Noise"):
        quantize(network(lambda x: conv(Noise(name="noise")(x), "conv"), "net"), INTEGER)
