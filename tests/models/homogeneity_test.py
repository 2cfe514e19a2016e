"""Moving scale between layers: the function stays, the weights fit, and no better choice exists."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers

from tfquantseg.models.homogeneity import balance


def _conv(filters: int, name: str, activation: str | None = "relu", size: int = 3) -> layers.Layer:
    return layers.Conv2D(filters, size, padding="same", activation=activation, name=name)


def _with_ranges(model: keras.Model, weights: dict[str, float], bias: float = 0.1) -> keras.Model:
    """Draws weights whose largest absolute values are as given."""
    random = np.random.default_rng(0)
    for name, largest in weights.items():
        layer = model.get_layer(name)
        kernel = random.normal(size=layer.kernel.shape)
        layer.kernel.assign(kernel * (largest / np.abs(kernel).max()))
        if layer.use_bias:
            drawn = random.normal(size=layer.bias.shape)
            layer.bias.assign(drawn * (bias / np.abs(drawn).max()))
    return model


def _chain(end_activation: str | None = None) -> keras.Model:
    """Three convolutions with all that passes a factor between them."""
    x = pixels = keras.Input((16, 16, 3))
    x = layers.MaxPooling2D(2)(_conv(4, "a")(x))
    x = layers.Cropping2D(1)(layers.ZeroPadding2D(1)(layers.Dropout(0.5)(x)))
    x = layers.ReLU(negative_slope=0.1)(_conv(5, "b", None)(x))
    x = layers.UpSampling2D(2, interpolation="bilinear")(layers.AveragePooling2D(2)(x))
    x = layers.Activation("relu")(x)
    return keras.Model(pixels, _conv(2, "c", end_activation)(x))


def _largest(model: keras.Model, name: str) -> float:
    return float(np.abs(np.asarray(model.get_layer(name).kernel)).max())


def _image(model: keras.Model) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(2, *model.input_shape[1:])).astype(np.float32)


def test_a_path_ends_with_equal_ranges_and_the_same_function() -> None:
    model = _with_ranges(_chain(), {"a": 30.0, "b": 0.2, "c": 0.02})
    image = _image(model)
    before = np.asarray(model(image))
    factors = balance(model, bias_limit=10.0)
    expected = (30.0 * 0.2 * 0.02) ** (1 / 3)
    for name in "abc":
        assert _largest(model, name) == pytest.approx(expected, rel=1e-5)  # sweeps stop at 1e-6
    assert factors["a"] == pytest.approx(expected / 30, rel=1e-5)
    assert factors["c"] == 1
    # Float32 sums of up to 45 terms in each of three layers.
    np.testing.assert_allclose(model(image), before, rtol=0, atol=1e-5 * np.abs(before).max())


def test_biases_hold_a_factor_down() -> None:
    model = _with_ranges(_chain(), {"a": 0.1, "b": 0.1, "c": 0.8}, bias=2.0)
    model.get_layer("c").bias.assign(np.zeros(2))
    before = np.asarray(model(_image(model)))
    factors = balance(model, weight_limit=2.0)
    fits = 1 - 2.0**-7
    # Without the biases a, b and c would have 0.2 each: factors of 2 and 4.
    assert factors["a"] == pytest.approx(fits / 2, rel=1e-6)
    assert factors["b"] == pytest.approx(fits / 2, rel=1e-6)
    for name in "abc":
        assert np.abs(np.asarray(model.get_layer(name).bias)).max() <= fits * (1 + 1e-6)
    np.testing.assert_allclose(
        model(_image(model)), before, rtol=0, atol=1e-5 * np.abs(before).max()
    )


def _forked() -> keras.Model:
    """A skip: the tensor after `b` enters both `c` and `head`, whose sum is the output."""
    x = pixels = keras.Input((8, 8, 3))
    fork = _conv(4, "b")(_conv(4, "a")(x))
    deep = _conv(2, "d", None)(_conv(4, "c")(fork))
    return keras.Model(pixels, layers.Add()([deep, _conv(2, "head", None)(fork)]))


def test_a_fork_divides_all_its_consumers_and_the_largest_weight_is_minimal() -> None:
    ranges = {"a": 5.0, "b": 0.1, "c": 0.3, "d": 0.5, "head": 0.9}
    model = _with_ranges(_forked(), ranges)
    image = _image(model)
    before = np.asarray(model(image))
    balance(model)
    np.testing.assert_allclose(model(image), before, rtol=0, atol=1e-5 * np.abs(before).max())
    # By brute force over the three factors, on a grid of a twelfth of an octave.
    octaves = np.arange(-6, 6, 1 / 12)
    a, b, c = np.meshgrid(*[2.0**octaves] * 3, indexing="ij", sparse=True)
    paths = (5.0 * a, 0.1 * b / a, 0.3 * c / b, 0.5 / c, 0.9 / b)
    best = np.max(np.stack(np.broadcast_arrays(*paths)), 0).min()
    largest = max(_largest(model, name) for name in ranges)
    assert best * 2 ** (-1 / 12) < largest <= best * (1 + 1e-5)


def test_depthwise_and_transposed_convolutions_take_part() -> None:
    x = pixels = keras.Input((8, 8, 3))
    x = layers.DepthwiseConv2D(3, activation="relu", name="depthwise")(_conv(4, "a")(x))
    x = layers.Conv2DTranspose(4, 4, 2, padding="same", activation="relu", name="up")(x)
    model = keras.Model(pixels, _conv(2, "end", None)(x))
    _with_ranges(model, {"a": 4.0, "depthwise": 2.0, "up": 0.1, "end": 0.2})
    image = _image(model)
    before = np.asarray(model(image))
    balance(model)
    for name in ("a", "depthwise", "up", "end"):
        assert _largest(model, name) == pytest.approx((4 * 2 * 0.1 * 0.2) ** 0.25, rel=1e-5)
    np.testing.assert_allclose(model(image), before, rtol=0, atol=1e-5 * np.abs(before).max())


@pytest.mark.parametrize(
    "between",
    [
        layers.BatchNormalization(),
        layers.Softmax(),
        layers.ReLU(max_value=6.0),
        layers.Activation("sigmoid"),
        layers.Rescaling(0.5),
    ],
)
def test_other_layers_hold_the_factor_at_1(between: layers.Layer) -> None:
    x = pixels = keras.Input((8, 8, 3))
    between = type(between).from_config(between.get_config())
    model = keras.Model(pixels, _conv(2, "b", None)(between(_conv(4, "a")(x))))
    _with_ranges(model, {"a": 0.9, "b": 0.1})
    assert balance(model) == {"a": 1.0, "b": 1.0}
    assert _largest(model, "a") == pytest.approx(0.9, rel=1e-6)


def test_an_activation_that_is_not_homogeneous_holds_the_factor() -> None:
    x = pixels = keras.Input((8, 8, 3))
    model = keras.Model(pixels, _conv(2, "b", None)(_conv(4, "a", "relu6")(x)))
    assert balance(_with_ranges(model, {"a": 0.9, "b": 0.1})) == {"a": 1.0, "b": 1.0}


def test_inner_tensors_that_are_outputs_keep_their_scale() -> None:
    x = pixels = keras.Input((8, 8, 3))
    inner = _conv(4, "a")(x)
    model = keras.Model(pixels, [_conv(2, "b", None)(inner), inner])
    assert balance(_with_ranges(model, {"a": 0.9, "b": 0.1})) == {"a": 1.0, "b": 1.0}


def test_keep_leaves_a_scale_unless_a_bias_does_not_fit() -> None:
    model = _with_ranges(_chain(), {"a": 0.9, "b": 0.1, "c": 0.2})
    assert balance(model, keep=["a", "b"]) == {"a": 1.0, "b": 1.0, "c": 1.0}
    model.get_layer("b").bias.assign(np.full(5, 4.0))
    factors = balance(model, keep=["a", "b"])
    assert factors["a"] == 1
    assert factors["b"] == pytest.approx((1 - 2.0**-7) / 4, rel=1e-6)


def test_keep_names_convolutions() -> None:
    with pytest.raises(ValueError, match=r"keep names 'd', .* those are a, b, c"):
        balance(_chain(), keep=["d"])


def test_weights_that_no_factor_makes_fit_are_refused_and_left() -> None:
    model = _with_ranges(_chain(), {"a": 30.0, "b": 3.0, "c": 3.0})
    before = [w.copy() for w in model.get_weights()]
    message = r"Layer '[abc]': its largest weight is 6\.46\d* .* holds 0\.992188 .* weight_limit"
    with pytest.raises(ValueError, match=message):
        balance(model)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    balance(model, weight_limit=8.0)


def test_biases_that_no_factor_makes_fit_are_refused() -> None:
    model = _with_ranges(_chain(), {"a": 0.1, "b": 0.1, "c": 0.1})
    model.get_layer("c").bias.assign([0.0, -3.0])  # at the output, whose scale is fixed
    with pytest.raises(ValueError, match=r"Layer 'c': its largest bias is 3 .* bias_limit"):
        balance(model)


def test_zero_weights_are_left_and_nan_is_refused() -> None:
    model = _with_ranges(_chain(), {"a": 0.5, "b": 0.5, "c": 0.5})
    model.get_layer("b").kernel.assign(np.zeros((3, 3, 4, 5)))
    assert set(balance(model).values()) == {1.0}
    model.get_layer("b").kernel.assign(np.full((3, 3, 4, 5), np.nan))
    with pytest.raises(ValueError, match="Layer 'b': its largest weight is nan"):
        balance(model)


def test_layers_called_twice_and_nested_models_are_refused() -> None:
    x = pixels = keras.Input((8, 8, 3))
    shared = _conv(3, "shared")
    with pytest.raises(ValueError, match="is called a second time"):
        balance(keras.Model(pixels, shared(shared(x))))
    with pytest.raises(ValueError, match="is called a second time"):
        balance(keras.Model(pixels, layers.Add()([shared(x), shared(layers.ReLU()(x))])))
    with pytest.raises(ValueError, match="Layer 'inner' is a model"):
        balance(keras.Model(pixels, keras.Sequential([_conv(3, "a")], name="inner")(x)))


def test_the_order_of_layers_does_not_matter() -> None:
    """Balanced is balanced: a second time changes nothing, from any starting point."""
    ends = []
    for order in itertools.permutations((8.0, 0.5, 0.05)):
        model = _with_ranges(_chain(), dict(zip("abc", order, strict=True)))
        balance(model, bias_limit=10.0)
        ends.append([_largest(model, name) for name in "abc"])
        again = balance(model, bias_limit=10.0)
        assert list(again.values()) == pytest.approx([1, 1, 1], rel=1e-5)
    np.testing.assert_allclose(ends, (8 * 0.5 * 0.05) ** (1 / 3), rtol=1e-5)
