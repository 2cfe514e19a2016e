"""Which objects a policy quantizes, and the measures of their costs."""

import numpy as np
import pytest

from tests.analysis import small_float
from tfquantseg.analysis import sensitivity
from tfquantseg.policy import preset
from tfquantseg.transform import quantize


def test_objects_are_all_that_integer_quantizes() -> None:
    model = small_float.model()
    planned, found = sensitivity.objects(model, preset("INTEGER"))
    named = sorted((one.letter, one.layer) for one in found)
    # The image lies on its grid already. The error of stem_relu comes through a batch norm, and
    # middle and logits quantize theirs themselves: only the former's edge does too.
    assert named == [
        ("A", "join"),
        ("A", "logits"),
        ("A", "middle"),
        ("A", "stem_relu"),
        ("E1", "stem_relu"),
        *(("E2", name) for name in ("logits", "middle", "stem")),
        *(("G", name) for name in ("logits", "middle", "stem")),
        *(("W", name) for name in ("logits", "middle", "stem")),
    ]
    assert set(sensitivity.kernels(planned)) == {"stem", "middle", "logits"}
    assert all(one.by == (one.layer,) for one in found)


def test_weights_are_those_that_training_multiplies() -> None:
    model, policy = small_float.model(), preset("INTEGER k_W=3")
    quantized = quantize(model, policy)
    for one in sensitivity.objects(model, policy)[1]:
        if one.letter == "W":
            expected = quantized.get_layer(one.layer).quantized_kernel().product()
            assert one.value is not None
            np.testing.assert_array_equal(one.value, expected)
            assert np.any(one.value != model.get_layer(one.layer).kernel.numpy())


def test_a_policy_that_leaves_objects_alone_has_none_of_them() -> None:
    policy = preset("INTEGER k_W=None k_E1=None k_E2=None")
    found = sensitivity.objects(small_float.model(), policy)[1]
    assert {one.letter for one in found} == {"A", "G"}


def test_errors_of_the_paper_reach_convolutions_behind_a_norm_in_float() -> None:
    found = sensitivity.objects(small_float.model(), preset("PAPER_DEEPLAB W_limit=8 BN_limit=8"))[
        1
    ]
    assert ("E2", "stem") not in {(one.letter, one.layer) for one in found}


def test_lost_descent_is_one_minus_the_cosine() -> None:
    one, other = [np.array([3.0, 0.0]), np.array([4.0])], [np.array([0.0, 5.0]), np.array([0.0])]
    assert sensitivity.lost_descent(one, one) == pytest.approx(0, abs=1e-12)
    assert sensitivity.lost_descent(one, [2 * part for part in one]) == pytest.approx(0, abs=1e-12)
    assert sensitivity.lost_descent(one, other) == 1
    assert sensitivity.lost_descent(one, [-part for part in one]) == pytest.approx(2)
    half = [np.array([3.0, 0.0]), np.array([0.0])]  # cos = 3 / 5
    assert sensitivity.lost_descent(one, half) == pytest.approx(0.4)
    zeros = [np.zeros(2), np.zeros(1)]
    assert sensitivity.lost_descent(one, zeros) == 1
    assert sensitivity.lost_descent(zeros, zeros) == 0


def test_relative_error() -> None:
    exact = np.array([3.0, 4.0])
    assert sensitivity.relative_error(exact, np.array([3.0, 3.0])) == pytest.approx(0.2)
    assert sensitivity.relative_error(np.zeros(2), exact) == 0
