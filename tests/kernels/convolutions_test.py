"""The int8 convolutions against TensorFlow's in float64, whose sums are exact too."""

import numpy as np
import pytest
import tensorflow as tf

from tfquantseg import kernels

NO_BIAS = np.zeros(0, np.float32)


@pytest.fixture(scope="module")
def ops():
    if kernels.ops() is None:
        pytest.skip(kernels.why_not())
    return kernels.ops()


def integers(shape, seed: int, least: int = -127) -> np.ndarray:
    return np.random.default_rng(seed).integers(least, 128, shape).astype(np.int8)


def compare(ops, image, kernel, strides=(1, 1), dilations=(1, 1), padding="SAME"):
    """Compares the three products of one geometry."""
    a, w = integers(image, 0, least=-128), integers(kernel, 1)
    geometry = {"strides": strides, "dilations": dilations, "padding": padding}
    exact_a, exact_w = tf.constant(a, tf.float64), tf.constant(w, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch([exact_a, exact_w])
        y = tf.nn.convolution(exact_a, exact_w, **geometry)
    e = integers(y.shape, 2)
    to_input, to_weight = tape.gradient(
        y, [exact_a, exact_w], output_gradients=tf.constant(e, tf.float64)
    )
    got = ops.tfquantseg_conv2d(a, w, 1.0, NO_BIAS, **geometry)
    np.testing.assert_array_equal(got, tf.cast(y, tf.float32))
    got = ops.tfquantseg_conv2d_backprop_input(image, w, e, 1.0, NO_BIAS, **geometry)
    np.testing.assert_array_equal(got, tf.cast(to_input, tf.float32))
    got = ops.tfquantseg_conv2d_backprop_filter(a, e, 1.0, kernel_size=kernel[:2], **geometry)
    np.testing.assert_array_equal(got, tf.cast(to_weight, tf.float32))


SIZES = [
    ([2, 7, 9, 3], [3, 3, 3, 4]),  # fewer channels than a quad
    ([1, 13, 16, 5], [2, 3, 5, 17]),  # half a panel and one column
    ([2, 14, 13, 32], [1, 1, 32, 33]),  # a panel and one column
    ([1, 15, 19, 20], [3, 5, 20, 50]),
    ([1, 1, 1, 7], [1, 1, 7, 5]),
    ([5, 2, 3, 13], [3, 3, 13, 12]),  # the kernel is larger than the image
    ([2, 5, 50, 5], [3, 3, 5, 17]),  # rows long enough to be read in place
    ([1, 4, 230, 3], [3, 5, 3, 33]),  # several blocks a row, and quads over the ends of runs
]


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(
    ("strides", "dilations"),
    [((1, 1), (1, 1)), ((2, 2), (1, 1)), ((3, 1), (1, 1)), ((1, 1), (2, 2)), ((1, 1), (3, 1))],
    ids=str,
)
@pytest.mark.parametrize(("image", "kernel"), SIZES, ids=str)
def test_three_products(ops, image, kernel, strides, dilations, padding):
    reach = [(kernel[axis] - 1) * dilations[axis] + 1 for axis in (0, 1)]
    if padding == "VALID" and (reach[0] > image[1] or reach[1] > image[2]):
        output = ops.tfquantseg_conv2d(
            integers(image, 0), integers(kernel, 1), 1.0, NO_BIAS, strides=strides,
            dilations=dilations, padding=padding,
        )  # fmt: skip
        assert tf.size(output) == 0
        return
    compare(ops, image, kernel, strides, dilations, padding)


def test_strides_that_leave_pixels_out(ops):
    compare(ops, [2, 9, 11, 6], [1, 1, 6, 8], strides=(2, 3))


def test_bilinear_enlargement_by_eight(ops):
    compare(ops, [2, 40, 48, 5], [16, 16, 5, 11], strides=(8, 8))


def test_sums_that_float32_does_not_hold(ops):
    compare(ops, [1, 5, 6, 1200], [3, 3, 1200, 20])  # up to 1.7e8, beyond 2**24


def test_bytes_whose_sums_overflow_on_the_way(ops):
    # 127 + 128 times 127, 130,000 times, is twice 2**31; their sum, less 128 * 127 times, fits.
    a, w = np.full([1, 1, 1, 130_000], 127, np.int8), np.full([1, 1, 130_000, 2], 127, np.int8)
    got = ops.tfquantseg_conv2d(
        a, w, 1.0, NO_BIAS, strides=[1, 1], dilations=[1, 1], padding="SAME"
    )
    assert got.numpy().ravel().tolist() == [np.float32(130_000 * 127 * 127)] * 2


# (A + 128) * E is largest at A = 127, and 0 at A = -128.
@pytest.mark.parametrize(("a", "e"), [(-128, -127), (127, 127), (127, -127), (20, -90)])
@pytest.mark.parametrize(
    ("image", "kernel"),
    [
        ([1, 300, 300], [1, 3]),  # some rows at a time
        ([2, 1, 70_001], [1, 3]),  # parts of a row
        ([1, 100, 660], [1, 1]),  # all positions are one row: the most that 32 bits hold,
        ([1, 100, 661], [1, 1]),  # more,
        ([8, 256, 256], [1, 1]),  # and as many as eight images of a usual size have
    ],
    ids=str,
)
def test_more_positions_than_32_bits_hold(ops, image, kernel, a, e):
    got = ops.tfquantseg_conv2d_backprop_filter(
        np.full([*image, 1], a, np.int8), np.full([*image, 1], e, np.int8), 1.0,
        kernel_size=kernel, strides=[1, 1], dilations=[1, 1], padding="SAME",
    )  # fmt: skip
    n, height, width = image
    columns = [width] if kernel[1] == 1 else [width - 1, width, width - 1]
    assert got.numpy().ravel().tolist() == [np.float32(n * height * c * a * e) for c in columns]


def test_parts_of_a_row_of_many_channels(ops):
    compare(ops, [1, 2, 70_003, 14], [1, 1, 14, 35])
    compare(ops, [1, 1, 70_003, 3], [1, 2, 3, 33])


def test_empty_batch(ops):
    compare(ops, [0, 4, 4, 3], [3, 3, 3, 5])


@pytest.mark.parametrize("activation", ["linear", "relu", "relu6"])
def test_scale_bias_and_activation_round_as_tensorflow_does(ops, activation):
    a, w = integers([2, 6, 7, 9], 0), integers([3, 3, 9, 19], 1)
    rng = np.random.default_rng(2)
    scale = rng.uniform(1e-5, 1e-3, 19).astype(np.float32)
    bias = rng.normal(size=19).astype(np.float32)
    sums = tf.nn.conv2d(tf.constant(a, tf.float32), tf.constant(w, tf.float32), 1, "SAME")
    y = sums * scale + bias
    expected = {"linear": y, "relu": tf.nn.relu(y), "relu6": tf.nn.relu6(y)}[activation]
    got = ops.tfquantseg_conv2d(
        a, w, scale, bias, strides=[1, 1], dilations=[1, 1], padding="SAME", activation=activation
    )
    np.testing.assert_array_equal(got, expected)


def test_a_scale_of_nan_is_not_hidden_by_an_activation(ops):
    got = ops.tfquantseg_conv2d(
        integers([1, 3, 3, 4], 0), integers([1, 1, 4, 5], 1), np.nan, NO_BIAS, strides=[1, 1],
        dilations=[1, 1], padding="SAME", activation="relu6",
    )  # fmt: skip
    assert np.isnan(got).all()


@pytest.mark.parametrize(
    ("kernel", "scale", "bias", "said"),
    [
        ([1, 1, 5, 2], 1.0, NO_BIAS, "has 4 channels, the kernel takes 5"),
        ([1, 1, 4, 2], [1.0, 1.0, 1.0], NO_BIAS, "scale has 3 elements"),
        ([1, 1, 4, 2], 1.0, [0.0], "bias has 1 elements"),
    ],
)
def test_shapes_that_do_not_fit(ops, kernel, scale, bias, said):
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        ops.tfquantseg_conv2d(
            integers([1, 3, 3, 4], 0), integers(kernel, 1), scale, bias, strides=[1, 1],
            dilations=[1, 1], padding="SAME",
        )  # fmt: skip


def test_an_error_of_another_shape(ops):
    geometry = {"strides": [2, 2], "dilations": [1, 1], "padding": "SAME"}
    a, w, e = integers([1, 5, 5, 4], 0), integers([3, 3, 4, 2], 1), integers([1, 5, 5, 2], 2)
    with pytest.raises(tf.errors.InvalidArgumentError, match="do not fit an input"):
        ops.tfquantseg_conv2d_backprop_input(a.shape, w, e, 1.0, NO_BIAS, **geometry)
    with pytest.raises(tf.errors.InvalidArgumentError, match="does not fit an input"):
        ops.tfquantseg_conv2d_backprop_filter(a, e, 1.0, kernel_size=[3, 3], **geometry)


def test_to_int8(ops):
    x = np.arange(-128, 128, dtype=np.float32)
    got, one = ops.tfquantseg_to_int8(x)
    np.testing.assert_array_equal(got, x.astype(np.int8))
    assert one == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_to_int8_tells_of_values_that_are_not_finite(ops, value):
    assert np.isnan(ops.tfquantseg_to_int8(np.array([1, value], np.float32))[1])


@pytest.mark.parametrize("value", [128, -129, 0.5, 1e30])
def test_to_int8_refuses_what_is_no_int8(ops, value):
    with pytest.raises(tf.errors.InvalidArgumentError, match="no integers from -128 to 127"):
        ops.tfquantseg_to_int8(np.array([1, value], np.float32))
