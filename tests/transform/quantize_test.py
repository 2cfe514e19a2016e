"""quantize from outside: a training step, fit, files, and what it refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests.transform import networks
from tests.transform.networks import conv, image, inputs_of, network
from tfquantseg.layers import QuantEdge
from tfquantseg.optimizer import IntegerSGD
from tfquantseg.policy import FLOAT, INTEGER, PAPER_FCN, Rules
from tfquantseg.transform import quantize, register

every_network = pytest.mark.parametrize("body", networks.BODIES, ids=lambda body: body.__name__)


def train(model: keras.Model, steps: int = 1) -> list[tf.Tensor]:
    """Takes steps of IntegerSGD; returns the last one's gradients."""
    optimizer = IntegerSGD(2.0**-6, momentum=0.5)

    x = inputs_of(model)
    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = sum(
                tf.reduce_mean(tf.square(y - 0.3))
                for y in keras.tree.flatten(model(x, training=True))
            )
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
    return gradients


@every_network
def test_a_training_step_reaches_every_variable_and_the_file_holds_all(body, tmp_path) -> None:
    model = quantize(network(body), INTEGER)
    before = [variable.numpy() for variable in model.trainable_variables]
    for variable, gradient in zip(model.trainable_variables, train(model), strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(gradient).all(), variable.path
    moved = [
        np.any(variable.numpy() != old)
        for variable, old in zip(model.trainable_variables, before, strict=True)
    ]
    assert all(moved)

    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    x = inputs_of(model)
    keras.tree.map_structure(np.testing.assert_array_equal, loaded(x), model(x))
    for edge in loaded.layers:
        if isinstance(edge, QuantEdge) and edge.fixed_scale is None:
            assert edge.running_scale.numpy() == model.get_layer(edge.name).running_scale.numpy()
            assert edge.running_scale.numpy() > 0


def test_it_trains_with_compile_and_fit() -> None:
    model = quantize(network(networks.u_net), INTEGER)
    x = inputs_of(model, batch=4)
    labels = (x[..., 0] > 0).astype(np.int32)
    model.compile(
        IntegerSGD(2.0**-4, momentum=0.875),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    losses = model.fit(x, labels, batch_size=2, epochs=8, verbose=0, shuffle=False).history["loss"]
    # The sign of the red channel is learned by one convolution: a few steps show it.
    assert losses[-1] < 0.8 * losses[0]
    keras.Model.evaluate(model, x, labels, verbose=0)


def test_a_loaded_model_goes_on_training(tmp_path) -> None:
    model = quantize(network(networks.residual), INTEGER)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    train(model, 2)
    train(loaded, 2)
    for one, other in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.path)


@pytest.mark.parametrize("policy", [FLOAT, INTEGER], ids=lambda policy: policy.name)
def test_structures_of_inputs_and_outputs_stay(policy) -> None:
    inputs = {"a": image(name="a"), "b": image(name="b")}
    model = keras.Model(inputs, {"sum": [conv(inputs["a"] + inputs["b"], "conv")]})
    quantized = quantize(model, policy)
    x = inputs_of(model)
    assert list(quantized.input) == ["a", "b"]
    assert quantized(x)["sum"][0].shape == model(x)["sum"][0].shape


def test_images_of_any_size_can_be_quantized() -> None:
    x = keras.Input((None, None, 3))
    y = layers.MaxPooling2D(2)(conv(x, "down", activation="relu"))
    y = layers.UpSampling2D(2, interpolation="bilinear")(y)
    model = keras.Model(x, layers.Conv2DTranspose(2, 4, strides=2, padding="same")(y))
    quantized = quantize(model, INTEGER)
    for size in [(8, 12), (20, 6)]:
        assert quantized(np.ones([1, *size, 3])).shape == (1, 2 * size[0], 2 * size[1], 2)


def test_rules_quantize_a_part() -> None:
    model = network(networks.residual)
    quantized = quantize(model, Rules((("stem.*|logits", FLOAT), (".*", INTEGER))))
    kinds = {layer.name: type(layer).__name__ for layer in quantized.layers}
    assert kinds["stem"] == kinds["logits"] == "Conv2D"
    assert kinds["block_1"] == kinds["block_2"] == "QuantConv2D"
    assert kinds["stem_bn"] == "BatchNormalization"
    assert all(gradient is not None for gradient in train(quantized))


@keras.saving.register_keras_serializable("tests")
class Magnitude(layers.Layer):
    def call(self, x):
        return keras.ops.absolute(x)


def test_a_registered_layer_is_quantized(tmp_path) -> None:
    model = network(lambda x: conv(Magnitude(name="most")(conv(x, "one")), "two"), "net")
    with pytest.raises(ValueError, match=r"'most': no plan for operations of type .*Magnitude"):
        quantize(model, INTEGER)
    register(Magnitude, "select")
    quantized = quantize(model, INTEGER)
    x = inputs_of(model)
    # Three 8-bit tensors and two 8-bit kernels.
    np.testing.assert_allclose(quantized(x), model(x), atol=0.05 * np.abs(model(x)).max())
    quantized.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), quantized(x))


@keras.saving.register_keras_serializable("tests")
class Half(layers.Layer):
    def call(self, x):
        return x * 0.5


@keras.saving.register_keras_serializable("tests")
class Tenfold(layers.Layer):
    def call(self, x):
        return x * 10.0


@pytest.mark.parametrize("mode", ["eager", "graph", "loaded"])
@pytest.mark.parametrize(("layer", "kind"), [(Half, "select"), (Tenfold, "average")])
def test_a_registered_layer_that_leaves_the_grid_is_named(
    layer, kind: str, mode: str, tmp_path
) -> None:
    register(layer, kind)
    model = network(lambda x: conv(layer(name="changes")(conv(x, "one")), "two"), "net")
    quantized = quantize(model, INTEGER)
    if mode == "loaded":
        quantized.save(tmp_path / "model.keras")
        quantized = keras.models.load_model(tmp_path / "model.keras")
    call = tf.function(quantized, jit_compile=False) if mode == "graph" else quantized
    said = rf"changes \({layer.__name__}\) is registered as {kind}, and made values off the grid"
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        call(inputs_of(model), training=True)


@keras.saving.register_keras_serializable("tests")
class PixelShuffle(layers.Layer):
    """Four channels as four pixels, by an op that Keras can't trace."""

    def call(self, x):
        return tf.nn.depth_to_space(x, 2)

    def compute_output_shape(self, shape):
        return (shape[0], 2 * shape[1], 2 * shape[2], shape[3] // 4)


@keras.saving.register_keras_serializable("tests")
class Softplus(layers.Layer):
    """Real values between two edges."""

    def call(self, x):
        return tf.math.softplus(x)


@pytest.mark.parametrize(("layer", "kind"), [(PixelShuffle, "select"), (Softplus, "float")])
def test_registered_examples_train_and_are_kept_in_files(layer, kind: str, tmp_path) -> None:
    register(layer, kind)
    model = network(lambda x: conv(layer(name="own")(conv(x, "one", 8)), "two", 2), "net")
    quantized = quantize(model, INTEGER)
    x = inputs_of(model)
    # Four 8-bit tensors and two 8-bit kernels.
    np.testing.assert_allclose(quantized(x), model(x), atol=0.05 * np.abs(model(x)).max())
    assert all(gradient is not None for gradient in train(quantized))
    edges = {edge.name for edge in quantized.layers if isinstance(edge, QuantEdge)}
    assert ("own_A" in edges) == (kind == "float")  # a choice of values keeps its step
    quantized.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), quantized(x))


def test_a_registered_composite_layer_is_called_as_one() -> None:
    class Whole(networks.Block):
        """Registered, so that its convolution stays in float32."""

        def call(self, x, training=False):
            return self.conv(x)

    register(Whole, "float")
    model = network(lambda x: conv(Whole(0, name="whole")(x), "conv"), "net")
    quantized = quantize(model, INTEGER)
    assert isinstance(quantized.get_layer("whole"), Whole)
    x = inputs_of(model)
    # Three 8-bit tensors and one 8-bit kernel.
    np.testing.assert_allclose(quantized(x), model(x), atol=0.05 * np.abs(model(x)).max())


def test_weights_beyond_a_fixed_limit_are_refused() -> None:
    model = network(lambda x: conv(x, "conv", 2), "net")
    kernel, bias = model.get_layer("conv").get_weights()
    model.get_layer("conv").set_weights([np.clip(kernel, -0.9, 0.9), bias + 7])
    with pytest.raises(ValueError, match=r"'conv': bias reaches .* beyond the policy's fixed"):
        quantize(model, PAPER_FCN)
    model.get_layer("conv").set_weights([3 * kernel, 0 * bias])
    with pytest.raises(ValueError, match=r"'conv': W reaches .* fixed limit 1\."):
        quantize(model, PAPER_FCN)
    quantize(model, INTEGER)


@pytest.mark.parametrize("layer", ["stem", "stem_bn"])
def test_weights_that_are_not_finite_are_refused(layer) -> None:
    model = network(networks.residual)
    first, *others = model.get_layer(layer).get_weights()
    first.flat[0] = np.nan
    model.get_layer(layer).set_weights([first, *others])
    with pytest.raises(ValueError, match=rf"'{layer}': (kernel|gamma) holds NaN or infinity"):
        quantize(model, INTEGER)


def test_a_rule_that_matches_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rule 'steam' -> FLOAT matches no layer"):
        quantize(network(networks.residual), Rules((("steam", FLOAT), (".*", INTEGER))))
