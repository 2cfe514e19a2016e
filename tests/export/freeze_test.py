"""What a frozen network holds, and which models have none."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.export import every_operation
from tfquantseg import preset, quantize, register
from tfquantseg.export.freeze import freeze
from tfquantseg.export.graph_integers import integers_of
from tfquantseg.export.network import Add, Convolution, Requantize
from tfquantseg.policy import Rules
from tfquantseg.transform import graph

L = keras.layers


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """The model of every operation, trained."""
    return every_operation.trained()


def _small(*behind: L.Layer, policy: str = "INTEGER", seen: bool = True) -> keras.Model:
    """A convolution, and layers behind it; quantized, and trained if it has `seen` an image."""
    image = keras.Input((None, None, 3))
    x = L.Rescaling(1 / 128, offset=-1)(image)
    x = L.Conv2D(4, 3, padding="same", name="conv")(x)
    for layer in behind:
        x = layer(x)
    model = quantize(keras.Model(image, x), preset(policy))
    if seen:
        model(np.full((1, 16, 16, 3), 200.0, np.float32), training=True)
    return model


def test_batch_norm_folds_into_steps_and_bias(model: keras.Model) -> None:
    stem = freeze(model, *every_operation.SIZE).convolutions[0]
    layer, norm = model.get_layer("stem"), model.get_layer("stem_bn")
    mu, sigma, gamma, beta = norm.quantized_statistics()
    integers, steps = layer.quantized_kernel()
    factor = gamma.astype(np.float64) / (sigma + np.float64(norm.epsilon))
    assert (stem.output.name, stem.layer, stem.activation) == ("stem", "stem", "relu")
    assert stem.signs.tolist() == [-1, 1, 1, 1, 1, 0]
    np.testing.assert_array_equal(stem.weights, integers.numpy() * stem.signs)
    folded = steps.numpy().reshape(-1) * np.abs(factor)
    np.testing.assert_array_equal(stem.weight_steps[:5], folded[:5].astype(np.float32))
    assert stem.weight_steps[5] > 0
    np.testing.assert_array_equal(stem.bias, -mu * factor + beta)


def test_a_batch_norm_without_convolution_becomes_one(model: keras.Model) -> None:
    network = freeze(model, *every_operation.SIZE)
    (alone,) = [one for one in network.convolutions if one.output.name == "alone_bn"]
    assert (alone.kind, alone.layer, alone.weights.shape) == ("depthwise", "", (1, 1, 6, 1))
    assert np.abs(alone.weights).reshape(-1).tolist() == [127] * 5 + [0]


def test_steps_are_those_of_the_edges(model: keras.Model) -> None:
    network = freeze(model, *every_operation.SIZE)
    assert network.image.step == 2.0**-7
    for name, tensors in network.edges.items():
        edge = model.get_layer(name)
        if edge.fixed_scale is None:
            for tensor in tensors:
                assert tensor.step == np.float32(edge.running_scale.numpy()) / np.float32(127)
    requantized = [one for one in network.operations if isinstance(one, Requantize)]
    assert {one.output.step for one in requantized} == {network.edges["image_pooling_A"][0].step}


def test_shapes_are_those_of_the_graph(model: keras.Model) -> None:
    for size in (every_operation.SIZE, (30, 42)):
        network = freeze(model, *size)
        integers = integers_of(model, network)(every_operation.images(1, size)[0])
        assert {one.output.name for one in network.operations} < integers.keys()
        for one in network.operations:
            assert integers[one.output.name].shape == one.output.shape, one.output.name


def test_activations_and_sums_may_be_layers_or_ops() -> None:
    image = keras.Input((None, None, 3))
    x = L.Conv2D(4, 3, padding="same", name="first")(L.Rescaling(1 / 128, offset=-1)(image))
    x = L.BatchNormalization()(x)
    x = L.Activation("relu", name="as_layer")(x)
    y = keras.ops.relu6(L.Conv2D(4, 3, padding="same", name="second")(x))
    x = L.Activation("relu6", name="of_sum")(x + y)
    x = L.Conv2D(2, 1, name="last")(keras.ops.concatenate([x, y], axis=-1))
    model = quantize(keras.Model(image, x), preset("INTEGER"))
    model(np.full((1, 8, 8, 3), 200.0, np.float32), training=True)
    network = freeze(model, 8, 8)
    found = {one.output.name: getattr(one, "activation", None) for one in network.operations}
    assert [found[name] for name in ("first", "second", "last")] == ["relu", "relu6", "linear"]
    (added,) = [one for one in network.operations if isinstance(one, Add)]
    assert added.activation == "relu6"


def test_a_relu6_of_its_own_is_a_convolution() -> None:
    # tflite-micro's RELU6 leaves out the ratio of its two steps.
    model = _small(L.BatchNormalization(name="bn"), L.MaxPooling2D(2), L.ReLU(6.0, name="relu6"))
    last = freeze(model, 8, 8).operations[-1]
    assert isinstance(last, Convolution)
    assert (last.kind, last.layer, last.activation) == ("depthwise", "", "relu6")
    assert np.unique(last.weights) == 127 and not last.bias.any()


def test_a_shared_convolution_is_two_operations() -> None:
    image = keras.Input((None, None, 3))
    x = L.Rescaling(1 / 128, offset=-1)(image)
    shared = L.Conv2D(3, 3, padding="same", name="shared")
    model = quantize(keras.Model(image, shared(shared(x))), preset("INTEGER"))
    model(np.full((1, 8, 8, 3), 200.0, np.float32), training=True)
    names = [(one.output.name, one.layer) for one in freeze(model, 8, 8).convolutions]
    assert names == [("shared", "shared"), ("shared_call2", "shared")]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: every_operation.float_model(), "computes in float32: there are no integers"),
        (lambda: _small(seen=False), "has no scale: the model was not trained"),
        (lambda: None, r"must be a keras\.Model, received a NoneType"),
        (lambda: _small(policy="PAPER_FCN"), r"PAPER_FCN keeps some activations off .*A_at=conv_"),
        (
            lambda: _small(L.Softmax(axis=1), L.Conv2D(2, 1)),
            r"\(Softmax\) is over axis 1, not over the channels; an int8 file can't hold it",
        ),
        (lambda: _small(L.Conv2D(2, 9, name="large")), "'large' gets 8 x 8 positions, fewer than"),
    ],
)
def test_models_without_an_integer_network(made, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        freeze(made(), 8, 8)


def test_a_registered_layer_is_named_with_what_to_use_in_its_place(monkeypatch) -> None:
    monkeypatch.setitem(graph._registered, L.LayerNormalization, "float")
    with pytest.raises(
        ValueError, match=r"'norm' \(LayerNormalization\) is registered: .*; use Batch"
    ):
        freeze(_small(L.LayerNormalization(name="norm"), L.Conv2D(2, 1)), 8, 8)


@pytest.mark.parametrize("size", [(None, 8), (8, None), (0, 8), (8.0, 8)])
def test_a_file_is_of_one_size(model: keras.Model, size) -> None:
    with pytest.raises(ValueError, match="a file is of one size: give two numbers of pixels, also"):
        freeze(model, *size)


def test_another_size_than_the_model_was_built_for_is_refused() -> None:
    image = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, name="first")(L.Rescaling(1 / 128, offset=-1)(image))
    with pytest.raises(ValueError, match="was built for images of 8 x 8; received 8 x 16"):
        freeze(quantize(keras.Model(image, x), preset("INTEGER")), 8, 16)


def test_a_network_of_weights_of_another_shape_is_not_this_models(model: keras.Model) -> None:
    network = freeze(model, *every_operation.SIZE)
    (narrow,) = [one for one in network.operations if one.output.name == "narrow"]
    output = dataclasses.replace(narrow.output, shape=(*narrow.output.shape[:2], 7))
    wider = dataclasses.replace(
        network,
        operations=tuple(
            dataclasses.replace(one, output=output) if one is narrow else one
            for one in network.operations
        ),
    )
    with pytest.raises(ValueError, match=r"holds 'narrow' of .* 7\), and .* the model that was"):
        integers_of(model, wider)


@keras.saving.register_keras_serializable("tests")
class PixelShuffle(L.Layer):
    """Four channels as four pixels, by an op that Keras can't trace."""

    def call(self, x):
        return tf.nn.depth_to_space(x, 2)

    def compute_output_shape(self, shape):
        return (shape[0], *(None if side is None else 2 * side for side in shape[1:3]), 1)


def test_a_registered_layer_trains_and_is_named_by_freeze() -> None:
    register(PixelShuffle, "select")
    model = _small(PixelShuffle(name="shuffle"))
    with pytest.raises(
        ValueError, match=r"'shuffle' \(PixelShuffle\) is registered: .* an int8 file has no opera"
    ):
        freeze(model, 8, 8)


@keras.saving.register_keras_serializable("tests")
class Doubled(L.ReLU):
    """It computes something else than the layer of which it is a subclass."""

    def call(self, x):
        return 2.0 * super().call(x)


def test_a_layer_of_ones_own_is_not_written_as_what_it_is_a_subclass_of(monkeypatch) -> None:
    register(Doubled, "float")
    model = _small(Doubled(name="doubled"), L.Conv2D(2, 1))
    with pytest.raises(ValueError, match=r"'doubled' \(Doubled\) is registered: .* an int8 file"):
        freeze(model, 8, 8)
    monkeypatch.delitem(graph._registered, Doubled)  # as in a process that has loaded the model
    with pytest.raises(ValueError, match=r"'doubled' \(Doubled\) is a layer of your own; an int8"):
        freeze(model, 8, 8)


def test_a_part_in_float_is_named() -> None:
    image = keras.Input((None, None, 3))
    x = L.Conv2D(4, 3, name="first")(L.Rescaling(1 / 128, offset=-1)(image))
    x = L.Conv2D(4, 3, name="second")(x)
    rules = Rules((("first", preset("FLOAT")), (".*", preset("INTEGER"))))
    model = quantize(keras.Model(image, x), rules)
    model(np.full((1, 8, 8, 3), 200.0, np.float32), training=True)
    with pytest.raises(ValueError, match=r"'first' \(Conv2D\) computes in float32, as the ru"):
        freeze(model, 8, 8)


def test_an_image_off_the_grid_is_refused() -> None:
    image = keras.Input((None, None, 3))
    model = quantize(
        keras.Model(image, L.Conv2D(4, 3)(L.Rescaling(1 / 255)(image))), preset("INTEGER")
    )
    model(np.full((1, 8, 8, 3), 200.0, np.float32), training=True)
    wanted = r"does not enter on a grid; begin .* Rescaling\(1/128.* again from Rescaling\(128"
    with pytest.raises(ValueError, match=wanted):
        freeze(model, 8, 8)


def test_a_policy_that_devices_do_not_round_like_is_refused() -> None:
    image = keras.Input((None, None, 3))
    policy = dataclasses.replace(preset("INTEGER"), name="UP", rounding="half_up")
    float_model = keras.Model(image, L.Conv2D(4, 3)(L.Rescaling(1 / 128, offset=-1)(image)))
    model = quantize(float_model, policy)
    model(np.full((1, 8, 8, 3), 200.0, np.float32), training=True)
    with pytest.raises(ValueError, match="policy UP rounds half_up, devices round half_away"):
        freeze(model, 8, 8)


def test_a_bias_too_large_for_its_steps_is_refused(model: keras.Model) -> None:
    convolution = freeze(model, *every_operation.SIZE).convolutions[0]
    assert isinstance(convolution, Convolution)
    steps = np.full_like(convolution.weight_steps, 2.0**-40)
    tiny = dataclasses.replace(convolution, weight_steps=steps)
    with pytest.raises(ValueError, match=r"'stem': the bias of channel \d is .* 2\*\*30 at most"):
        tiny.bias_integers()


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (L.Resizing(8, 8, crop_to_aspect_ratio=True), "has crop_to_aspect_ratio=True, which no"),
        (L.Resizing(8, 8, antialias=True), "has antialias=True, which no resize of a file"),
        (L.Reshape((4, 4, 2, 2)), r"makes \(4, 4, 2, 2\) of"),
        (L.Concatenate(axis=1), "joins along another axis than the channels"),
    ],
)
def test_settings_that_no_operation_has(layer: L.Layer, message: str) -> None:
    image = keras.Input((4, 4, 3))
    x = L.Conv2D(4, 1)(L.Rescaling(1 / 128, offset=-1)(image))
    y = layer([x, x]) if isinstance(layer, L.Concatenate) else layer(x)
    model = quantize(keras.Model(image, y), preset("INTEGER"))
    model(np.full((1, 4, 4, 3), 200.0, np.float32), training=True)
    with pytest.raises(ValueError, match=message):
        freeze(model, 4, 4)
