"""Flattening keeps the function, reaches every convolution, and names everything once."""

import keras
import numpy as np
import pytest
from keras import layers

from tests.transform import networks
from tests.transform.networks import SIZE, conv, image, inputs_of, network
from tfquantseg.transform import count_convolutions, flatten

CONVOLUTIONS = {
    "convolutions": 6,
    "resizes": 3,
    "residual": 4,
    "u_net": 6,
    "dense": 4,
    "aspp": 7,
    "bare_ops": 4,
    "shared": 2,
    "several_outputs": 3,
    "nested": 3,
    "subclassed": 5,
}


def names(model: keras.Model) -> list[str]:
    return [operation.name for operation in model.operations]


def is_nested(operation) -> bool:
    return isinstance(operation, keras.Model | networks.Block)


@pytest.mark.parametrize("body", networks.BODIES, ids=lambda body: body.__name__)
def test_a_flat_model_has_the_same_function_and_no_nesting(body) -> None:
    model = network(body)
    flat = flatten(model)
    x = inputs_of(model)
    keras.tree.map_structure(np.testing.assert_array_equal, flat(x), model(x))
    assert not any(is_nested(operation) for operation in flat.operations)
    assert count_convolutions(model) == CONVOLUTIONS[body.__name__]


def test_layers_are_shared_with_the_model() -> None:
    model = network(networks.residual)
    flat = flatten(model)
    assert flat.get_layer("block_1") is model.get_layer("block_1")


def test_a_layer_called_twice_stays_one_layer() -> None:
    flat = flatten(network(networks.nested))
    assert names(flat).count("inner_conv") == 1
    assert len(flat.get_layer("inner_conv").weights) == 2


def test_outer_names_stay_and_inner_ones_follow_their_part() -> None:
    kept = [name for name in names(flatten(network(networks.nested))) if "conv" in name]
    assert sorted(kept) == ["conv", "head_conv", "inner_conv"]


def test_names_inside_subclassed_layers_do_not_depend_on_what_was_built_before() -> None:
    first, second = (names(flatten(network(networks.subclassed))) for _ in range(2))
    assert first == second
    assert "left_add" in first and "right_inner_relu" in first


def test_a_sequential_model_can_be_flattened() -> None:
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), layers.Conv2D(2, 3), layers.ReLU()])
    x = np.ones([1, SIZE, SIZE, 3], np.float32)
    np.testing.assert_array_equal(flatten(model)(x), model(x))


def test_dictionaries_of_inputs_and_outputs_stay() -> None:
    inputs = {"a": image(name="a"), "b": image(name="b")}
    model = keras.Model(inputs, {"sum": conv(inputs["a"] + inputs["b"], "conv")})
    x = inputs_of(model)
    np.testing.assert_array_equal(flatten(model)(x)["sum"], model(x)["sum"])


def test_a_sum_of_many_becomes_sums_of_two() -> None:
    def body(x):
        total, parts = layers.Add(name="total"), [conv(x, f"part_{n}") for n in range(4)]
        return [total(parts), total(parts[1:])]

    model = network(body, "net")
    flat = flatten(model)
    assert [name for name in names(flat) if "total" in name] == [
        "total",
        "total_plus_2",
        "total_plus_3",
    ]
    x = inputs_of(model)
    keras.tree.map_structure(np.testing.assert_array_equal, flat(x), model(x))


def test_softmax_of_a_convolution_becomes_a_layer() -> None:
    model = network(lambda x: conv(x, "scores", 3, activation="softmax"), "head")
    flat = flatten(model)
    assert names(flat)[1:] == ["scores", "scores_softmax"]
    x = inputs_of(model)
    np.testing.assert_array_equal(flat(x), model(x))
    assert model.get_layer("scores").activation is keras.activations.softmax


def test_statistics_of_a_copied_normalization_are_its_own() -> None:
    def part(name: str, seed: int) -> keras.Model:
        norm = layers.Normalization(name="norm")
        norm.adapt(np.random.default_rng(seed).normal(seed, 2, [4, 4, 4, 3]))
        x = image()
        return keras.Model(x, norm(x), name=name)

    x = image()
    model = keras.Model(x, part("b", 2)(part("a", 1)(x)))
    values = inputs_of(model)
    np.testing.assert_array_equal(flatten(model)(values), model(values))


def test_a_convolution_of_as_many_groups_as_channels_becomes_a_depthwise_one() -> None:
    model = network(lambda x: conv(x, "each", 6, groups=3, strides=2, activation="relu6"), "net")
    flat = flatten(model)
    each = flat.get_layer("each")
    assert isinstance(each, layers.DepthwiseConv2D) and each.depth_multiplier == 2
    x = inputs_of(model)
    # The same products, summed by another kernel.
    np.testing.assert_allclose(flat(x), model(x), rtol=1e-5, atol=1e-6)
    assert count_convolutions(model) == 1


def test_a_part_that_cannot_be_traced_is_named() -> None:
    class Eager(layers.Layer):
        def __init__(self, **kwargs) -> None:
            super().__init__(**kwargs)
            self.conv = layers.Conv2D(3, 1)

        def build(self, input_shape) -> None:
            self.conv.build(input_shape)
            self.built = True

        def call(self, x):
            return self.conv(x) * float(np.asarray(x).mean())

        def compute_output_shape(self, input_shape):
            return input_shape

    x = image()
    with pytest.raises(ValueError, match=r"layer 'eager' \(Eager\) .* can't be traced"):
        flatten(keras.Model(x, Eager(name="eager")(x)))
