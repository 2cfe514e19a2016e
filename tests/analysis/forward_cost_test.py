"""What W and A cost, against networks in which they are quantized by hand."""

import keras
import numpy as np
import pytest

from tests.analysis import small_float
from tfquantseg import losses
from tfquantseg.analysis import forward_cost, sensitivity
from tfquantseg.analysis.forward_cost import Level
from tfquantseg.analysis.sensitivity import Finding
from tfquantseg.policy import Rules, preset
from tfquantseg.transform import quantize

LOSS = losses.softmax_cross_entropy
OF = (LOSS, small_float.IGNORE, small_float.CLASSES)


def level(model: keras.Model) -> Level:
    return forward_cost.level(model, *OF, small_float.batches())


def found(model: keras.Model, policy: str) -> dict[tuple[str, str], Finding]:
    planned, objects = sensitivity.objects(model, preset(policy))
    made = forward_cost.forward(planned, objects, *OF, small_float.batches())
    return {(one.letter, one.layer): one for one in made}


def test_the_loss_is_that_of_the_network() -> None:
    model = small_float.model()
    values = [
        float(LOSS(labels, model(images, training=False)))
        for images, labels in small_float.batches()
    ]
    expected = float(np.mean(values))
    assert level(model).loss == pytest.approx(expected, rel=1e-6)  # sums in another order


def test_weights_alone_cost_what_they_cost_put_in_by_hand() -> None:
    model = small_float.model()
    before = [weight.copy() for weight in model.get_weights()]
    costs = found(model, "INTEGER k_W=2")
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)
    exact = level(model)
    for one in sensitivity.objects(model, preset("INTEGER k_W=2"))[1]:
        if one.letter == "W":
            kernel = model.get_layer(one.layer).kernel
            old_kernel = kernel.numpy()
            kernel.assign(one.value)
            now = level(model)
            kernel.assign(old_kernel)
            cost = costs["W", one.layer]
            # The same sums in the same order, or one that XLA-free graphs may fuse otherwise.
            assert cost.loss == pytest.approx(now.loss - exact.loss, abs=1e-6)
            assert cost.miou == pytest.approx(now.miou - exact.miou, abs=1e-6)
            assert abs(now.loss - exact.loss) > 1e-4  # 2 bits cost something


def test_activations_alone_cost_what_quantize_makes_them_cost() -> None:
    model = small_float.model()
    # All else in float32: what remains of the quantized network is one object.
    only_A = "INTEGER k_W=None k_A=3 k_E1=None k_E2=None k_G=None k_mu=None k_sigma=None "
    only_A += "k_gamma=None k_beta=None norm=l2"
    costs = found(model, only_A)
    exact = level(model)
    rules = Rules((("join", preset(only_A)), (".*", preset("FLOAT"))))
    by_quantize = level(quantize(model, rules)).loss - exact.loss
    assert abs(by_quantize) > 1e-4
    assert costs["A", "join"].loss == pytest.approx(by_quantize, abs=1e-6)


def test_the_layer_of_fewest_bits_ranks_first() -> None:
    model = small_float.model()
    base, low = preset("INTEGER"), preset("INTEGER k_W=2")
    planned, objects = sensitivity.objects(model, base)
    coarse = {one.layer: one for one in sensitivity.objects(model, low)[1] if one.letter == "W"}
    mixed = [
        coarse["middle"] if (one.letter, one.layer) == ("W", "middle") else one for one in objects
    ]
    costs = list(forward_cost.forward(planned, mixed, *OF, small_float.batches()))
    worst = max(costs, key=lambda one: abs(one.cost))
    assert (worst.letter, worst.layer) == ("W", "middle")
