"""What E1, E2 and G cost, against gradients that are computed otherwise."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.analysis import small_float
from tfquantseg import losses
from tfquantseg.analysis import backward_cost, mixed_bits, sensitivity
from tfquantseg.analysis.sensitivity import Finding
from tfquantseg.policy import preset

LOSS = losses.softmax_cross_entropy
NEAREST = "INTEGER E_rounding=nearest"  # so that errors can be rounded again by hand


def found(model: keras.Model, policy: str) -> dict[tuple[str, str], Finding]:
    planned, objects = sensitivity.objects(model, preset(policy))
    made = backward_cost.backward(
        planned, objects, LOSS, small_float.IGNORE, small_float.batches(1)
    )
    return {(one.letter, one.layer): one for one in made}


def by_hand(model: keras.Model, quantized: str, policy: str) -> tuple[list, list]:
    """The gradients of all kernels, exact and with the error at a linear convolution rounded."""
    ((images, labels),) = small_float.batches(1)
    grid = preset(policy).E2()
    assert grid is not None

    @tf.custom_gradient
    def rounded(x: tf.Tensor) -> tuple[tf.Tensor, object]:
        return tf.identity(x), lambda error: grid(error)

    def forward(rounds: bool) -> list[np.ndarray]:
        get = model.get_layer
        with tf.GradientTape() as tape:
            x = get("stem")(get("grid")(images))
            x = rounded(x) if rounds and quantized == "stem" else x
            x = get("stem_relu")(get("stem_bn")(x, training=True))
            logits = get("logits")(get("join")([x, get("middle")(x)]))
            logits = rounded(logits) if rounds and quantized == "logits" else logits
            value = LOSS(labels, logits)
        kernels = [get(name).kernel.value for name in ("stem", "middle", "logits")]
        return [one.numpy() for one in tape.gradient(value, kernels)]

    return forward(False), forward(True)


@pytest.mark.parametrize("layer", ["stem", "logits"])
def test_an_error_alone_costs_what_a_custom_gradient_makes_of_it(layer: str) -> None:
    model, policy = small_float.model(), f"{NEAREST} k_E1=3 k_E2=3"
    cost = found(model, policy)["E2", layer]
    exact, rounded = by_hand(model, layer, policy)
    expected = sensitivity.lost_descent(exact, rounded)
    assert expected > 1e-3  # 3 bits cost something
    # g + (the backward pass of a difference) against one backward pass, float32 sums of 512 terms.
    assert cost.lost == pytest.approx(expected, rel=1e-3)
    own = ("stem", "middle", "logits").index(layer)
    error = sensitivity.relative_error(exact[own], rounded[own])
    assert cost.error == pytest.approx(error, rel=1e-3)


def test_a_relu_inside_a_convolution_passes_on_only_its_part() -> None:
    layer = keras.layers.Conv2D(1, 1, activation="relu6")
    output = tf.constant([0.0, 3.0, 6.0])
    error = tf.constant([1.0, 2.0, 3.0])
    assert backward_cost._before_activation(layer, output, error).numpy().tolist() == [0, 2, 0]
    layer.activation = keras.activations.relu
    assert backward_cost._before_activation(layer, output, error).numpy().tolist() == [0, 2, 3]
    layer.activation = keras.activations.linear
    assert backward_cost._before_activation(layer, output, error) is error


def test_gradients_alone_and_the_network_as_before() -> None:
    model = small_float.model()
    before = [weight.copy() for weight in model.get_weights()]
    costs = found(model, "INTEGER k_G=2")
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)
    one = costs["G", "middle"]
    assert one.cosine is not None and one.error is not None and one.lost is not None
    # Two bits are -1, 0 and 1 times the largest: most of a gradient is another one.
    assert 0.1 < one.cosine < 0.99 and one.error > 0.2
    # The other kernels have theirs, so that less of the whole is lost.
    assert 0 < one.lost < 1 - one.cosine
    assert costs["E1", "stem_relu"].cosine is None  # it has no kernel


def test_fewer_bits_lose_more() -> None:
    model = small_float.model()
    few, many = (found(model, f"{NEAREST} k_E1={k} k_E2={k}") for k in (3, 8))
    for key, cost in few.items():
        if key[0] != "G":
            assert cost.cost > 10 * many[key].cost, key  # steps are 32 times as wide


def test_everything_at_once_is_nothing_where_nothing_is_rounded() -> None:
    model, of = small_float.model(), (LOSS, small_float.IGNORE, small_float.batches(1))
    base = "INTEGER k_E1=3 k_E2=3 k_G=3"
    exact = mixed_bits.without_backward((), base)
    assert backward_cost.lost_when_all(model, exact, exact, *of) == pytest.approx(0, abs=1e-6)
    lost = backward_cost.lost_when_all(model, mixed_bits.rules_of((), base), exact, *of)
    assert 0.01 < lost < 1
