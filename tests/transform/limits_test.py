"""Limits and the takeover of batch-norm statistics, in closed form."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfquantseg.policy import INTEGER, PAPER_FCN
from tfquantseg.transform.limits import (
    batch_norm_limits,
    batch_norm_statistics,
    bias_limit,
    smallest_limit,
    weight_limit,
)

PER_TENSOR = dataclasses.replace(INTEGER, W_limit="per_tensor")


@pytest.mark.parametrize(
    ("magnitude", "limit"),
    [
        (0.0, 1.0),
        (0.25, 0.5),  # 0.25 itself ends at 0.25 * 127/128
        (0.25 * 127 / 128, 0.25),
        (0.26, 0.5),
        (1.0, 2.0),
        (12.16, 16.0),
        (15.9, 32.0),  # 16 ends at 15.875
    ],
)
def test_the_smallest_limit_whose_last_grid_value_holds_a_magnitude(magnitude, limit) -> None:
    assert smallest_limit(magnitude, 8) == limit


@given(st.floats(1e-30, 1e30), st.integers(2, 24))
def test_a_limit_is_a_power_of_two_that_holds_and_its_half_does_not(magnitude, bits) -> None:
    limit = smallest_limit(magnitude, bits)
    assert np.log2(limit) == np.round(np.log2(limit))
    last = 1 - 2.0 ** (1 - bits)
    assert limit / 2 * last < magnitude <= limit * last


def test_a_kernel_has_one_limit_a_channel() -> None:
    kernel = np.zeros([1, 1, 2, 3], np.float32)
    kernel[0, 0, :, 0] = [0.1, -0.3]
    kernel[0, 0, :, 2] = [1.5, 0.2]
    # The channel of zeros takes the limit of the whole tensor.
    assert weight_limit("w", kernel, INTEGER, 3) == (0.5, 2.0, 2.0)
    assert weight_limit("w", kernel, INTEGER, (2, 3)) == (0.125, 2.0, 2.0, 0.5, 2.0, 0.25)
    assert weight_limit("w", kernel, PER_TENSOR, 3) == 2.0
    assert weight_limit("w", 0 * kernel, INTEGER, 3) == (1.0, 1.0, 1.0)


def test_a_channel_of_next_to_nothing_can_still_grow() -> None:
    kernel = np.full([1, 1, 2, 3], 1e-20, np.float32)
    kernel[0, 0, :, 1] = 1.5
    kernel[0, 0, :, 2] = 2.0 * 2.0**-12  # held by the least limit, at its last value
    assert weight_limit("w", kernel, INTEGER, 3) == (2.0**-11, 2.0, 2.0**-10)
    assert weight_limit("w", kernel[..., :1], INTEGER, 3) == (2.0**-40,)
    assert weight_limit("w", kernel[..., :1], PER_TENSOR, 3) == 2.0**-40


def test_a_fixed_limit_holds_up_to_half_a_step_beyond_its_last_value() -> None:
    last = np.full([1, 1, 1, 1], 1 - 2.0**-8, np.float32)
    assert weight_limit("w", last, PAPER_FCN, 3) == 1.0
    message = r"'score': W reaches -?1, beyond the policy's fixed limit 1\. Move scale"
    with pytest.raises(ValueError, match=message):
        weight_limit("score", np.ones([1, 1, 1, 1]), PAPER_FCN, 3)
    with pytest.raises(ValueError, match=r"'score': bias reaches 12.16, beyond .* limit 1\."):
        bias_limit("score", np.array([12.16, 0]), PAPER_FCN)
    with pytest.raises(ValueError, match=r"'bn': sigma reaches 2.5, beyond .* fixed limit 2\."):
        batch_norm_limits("bn", {"mu": np.ones(1), "sigma": np.array([2.5])}, PAPER_FCN)


@pytest.mark.parametrize(
    ("biases", "limit"), [([0.0, 0.0], 4.0), ([-1.9, 1.0], 4.0), ([2.0], 8.0), ([12.16], 32.0)]
)
def test_a_bias_has_room_for_twice_its_largest_and_at_least_4(biases, limit) -> None:
    assert bias_limit("b", np.array(biases), INTEGER) == limit


def test_no_bias_needs_no_limit() -> None:
    assert bias_limit("b", None, PAPER_FCN) == 1.0


def test_limits_of_batch_norm() -> None:
    values = {"mu": [-30.0], "sigma": [0.1], "gamma": [0.9], "beta": [-5.0]}
    limits = batch_norm_limits("bn", {k: np.array(v) for k, v in values.items()}, INTEGER)
    # mu 4 * 30 -> 128; sigma at least 16; gamma 2 * 0.9 -> 2; beta 2 * 5 -> 16.
    assert limits == {
        "mu_limit": 128.0,
        "sigma_limit": 16.0,
        "gamma_limit": 2.0,
        "beta_limit": 16.0,
    }


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(bad) -> None:
    values = np.full([1, 1, 2, 2], 0.5)
    values[0, 0, 1, 1] = bad
    with pytest.raises(ValueError, match=r"'one': kernel holds NaN or infinity"):
        weight_limit("one", values, INTEGER, 3)
    with pytest.raises(ValueError, match=r"'one': bias holds NaN or infinity"):
        bias_limit("one", values[0, 0, 1], INTEGER)
    with pytest.raises(ValueError, match=r"'one': gamma holds NaN or infinity"):
        batch_norm_limits("one", {"gamma": values[0, 0, 1]}, INTEGER)


@pytest.mark.parametrize(("norm", "ratio"), [("l1", np.sqrt(2 / np.pi)), ("l2", 1.0)])
def test_statistics_keep_the_function_of_batch_norm(norm, ratio) -> None:
    rng = np.random.default_rng(0)
    mean, variance = rng.normal(size=6), rng.uniform(0, 9, 6)
    gamma, beta, epsilon = rng.normal(size=6), rng.normal(size=6), 1e-3
    mu, sigma, taken = batch_norm_statistics("norm", mean, variance, gamma, epsilon, norm)
    # float32 results against float64 formulas: 2**-23 of each, and of the differences.
    np.testing.assert_allclose(sigma + epsilon, ratio * np.sqrt(variance + epsilon), rtol=1e-6)
    np.testing.assert_allclose(taken, ratio * gamma, rtol=1e-6)
    x = rng.normal(size=[50, 6])
    np.testing.assert_allclose(
        taken * (x - mu) / (sigma + epsilon) + beta,
        gamma * (x - mean) / np.sqrt(variance + epsilon) + beta,
        rtol=1e-5,
        atol=1e-5,
    )


def test_a_channel_without_variance_keeps_a_positive_deviation() -> None:
    _, sigma, _ = batch_norm_statistics("norm", np.zeros(1), np.zeros(1), np.ones(1), 1e-3, "l1")
    assert sigma > 0


def test_a_negative_variance_is_named():
    with pytest.raises(ValueError, match=r"'norm': the moving variance holds -0\.5"):
        batch_norm_statistics("norm", np.zeros(2), np.array([1, -0.5]), np.ones(2), 1e-3, "l1")
