"""What a step's tensors are, against the gradient tape and the layers themselves."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfquantseg import losses
from tfquantseg.analysis.observed import Observed, observe
from tfquantseg.policy import FLOAT, INTEGER, PAPER_DEEPLAB, Policy, Rules
from tfquantseg.training.zeroed import ZeroedShares
from tfquantseg.transform import quantize

LOSS = losses.get("softmax_cross_entropy")


def network() -> keras.Model:
    """Two convolutions, the first with batch norm, and a transposed one."""
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Rescaling(1 / 128, offset=-1, name="rescaling")(image)
    x = keras.layers.Conv2D(6, 3, 2, padding="same", use_bias=False, name="first")(x)
    x = keras.layers.BatchNormalization(name="first_bn")(x)
    x = keras.layers.ReLU(name="first_relu")(x)
    x = keras.layers.Conv2D(5, 3, padding="same", activation="relu", name="second")(x)
    x = keras.layers.Conv2DTranspose(4, 4, 2, padding="same", use_bias=False, name="last")(x)
    return keras.Model(image, x, name="small")


def batch() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (2, 16, 16, 3)).astype(np.float32)
    return images, generator.integers(0, 4, (2, 16, 16)).astype(np.int32)


def found(model: keras.Model) -> dict[tuple[str, str], Observed]:
    return {(one.owner, one.letter): one for one in observe(model, LOSS, 255, *batch())}


def test_a_float_network_is_seen_around_its_convolutions() -> None:
    model = network()
    seen = found(model)
    assert set(seen) == {
        (layer, letter) for layer in ("first", "second", "last") for letter in ("W", "A", "E1", "G")
    } - {("first", "E1")}  # No error is computed for the image.
    assert all(one.integers is None and one.zeroed == 0 for one in seen.values())

    images, labels = (tf.constant(part) for part in batch())
    first, bn, second, last = (
        model.get_layer(name) for name in ("first", "first_bn", "second", "last")
    )
    with tf.GradientTape() as tape:
        a1 = images / 128 - 1
        a2 = tf.nn.relu(bn(first(a1), training=True))
        a3 = second(a2)
        value = LOSS(labels, last(a3), 255)
    wanted = tape.gradient(value, [a2, a3, first.kernel, last.kernel])
    for key, expected in (
        (("first", "A"), a1), (("second", "A"), a2), (("last", "A"), a3),
        (("second", "E1"), wanted[0]), (("last", "E1"), wanted[1]),
        (("first", "G"), wanted[2]), (("last", "G"), wanted[3]), (("last", "W"), last.kernel),
    ):  # fmt: skip
        # The same float32 sums in another order of fused ops.
        np.testing.assert_allclose(
            seen[key].values, np.reshape(expected, -1), rtol=1e-4, atol=1e-7, err_msg=str(key)
        )


def test_a_quantized_network_is_seen_at_its_grids() -> None:
    model = quantize(network(), INTEGER)
    seen = found(model)
    letters = {letter for _, letter in seen}
    assert letters == {"W", "A", "E1", "E2", "G"}
    for one in seen.values():
        assert one.integers is not None
        assert one.values.shape == one.integers.shape
        assert (one.integers == np.rint(one.integers)).all() and np.abs(one.integers).max() <= 128
    kernel = model.get_layer("second").quantized_kernel().integers
    np.testing.assert_array_equal(seen["second", "W"].integers, np.reshape(kernel, -1))
    # Stochastic rounding moves a value by less than a step, here max|G| / 127.
    gradient = seen["second", "G"]
    step = np.abs(gradient.values).max() / 127
    assert np.abs(gradient.values / step - gradient.integers).max() < 1 + 1e-3


@pytest.mark.parametrize("policy", [PAPER_DEEPLAB, INTEGER.changed("E_rounding=nearest")])
def test_zeroed_shares_are_those_of_the_monitor(policy: Policy) -> None:
    model = quantize(network(), policy)
    images, labels = (tf.constant(part) for part in batch())
    shares = ZeroedShares(model, LOSS, 255).of(images, labels)
    assert shares and max(shares.values()) > 0
    for (owner, letter), one in found(model).items():
        if f"{owner}/{letter}" in shares:
            # Counts of pixels, divided in float32 there.
            assert one.zeroed == pytest.approx(shares[f"{owner}/{letter}"], abs=1e-6)


def test_the_model_is_as_before() -> None:
    model = quantize(network(), INTEGER)
    before = [variable.numpy().copy() for variable in model.variables]
    found(model)
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, variable, err_msg=variable.path)


def test_a_part_in_float32_is_seen_too() -> None:
    model = quantize(network(), Rules((("last", FLOAT), (".*", INTEGER))))
    seen = found(model)
    assert seen["last", "G"].integers is None
    assert seen["second", "G"].integers is not None
    assert ("last", "A") in seen
