"""The errors of convolutions by the own op, bit for bit as TensorFlow's ops encode them."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.kernels.values import KINDS, SHAPES, assert_same_bits, needs_own_ops, of_kind
from tfquantseg import kernels
from tfquantseg.numerics import EncodedError, Quantized, Scaled, encode_error, encode_error_pair
from tfquantseg.numerics.grids import Per

INTEGER = Scaled(8, step="max/127", stochastic=True)
GRIDS = {
    "INTEGER": INTEGER,
    "PAPER": Scaled(8),
    "half_away": Scaled(8, step="max/127", rounding="half_away"),
    "half_even": Scaled(8, scale="power_of_two", rounding="half_even"),
    "16 bits": Scaled(16),
    "22 bits": Scaled(22, stochastic=True),
    "end at 1": Scaled(8, clip="1", scale="power_of_two"),
    "unit": Scaled(8, scale="one", clip="none", stochastic=True),
    "gain": Scaled(8, gain=0.1, stochastic=True),
    "Eq 18": Scaled(8, rescale=False, gain=1 / 128, stochastic=True),
}

pytestmark = needs_own_ops


def both(error: np.ndarray, grid: Scaled, **arguments) -> tuple[EncodedError, EncodedError]:
    """Returns what the own op gives, and the stock ones."""
    own = encode_error_pair(tf.constant(error), grid, "conv1", **arguments)
    with kernels.stock():
        return own, encode_error_pair(tf.constant(error), grid, "conv1", **arguments)


def assert_same(own: Quantized, stock: Quantized) -> None:
    assert_same_bits(own.step, stock.step)
    if np.isfinite(stock.step).all():  # With a step of NaN no integer means anything.
        assert own.integers.dtype == stock.integers.dtype
        assert_same_bits(own.integers, stock.integers)


def assert_same_errors(own: EncodedError, stock: EncodedError, scaled: bool) -> None:
    assert_same(own.pair, stock.pair)
    # Stock ops add in float32, exactly below 2**24.
    exact = np.sum(np.abs(stock.pair.integers), (0, 1, 2), dtype=np.float64).max() < 2**24
    if np.isfinite(stock.pair.step).all() and exact:
        np.testing.assert_array_equal(own.sums, stock.sums)
    assert (own.scaled is not None) == (stock.scaled is not None) == scaled
    if own.scaled is not None and stock.scaled is not None:
        assert_same(own.scaled, stock.scaled)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grid", GRIDS)
def test_every_grid_and_kind_of_values(grid: str, kind: str) -> None:
    for shape in SHAPES:
        error = of_kind(kind, shape)
        own, stock = both(error, GRIDS[grid])
        assert own.scaled is None
        assert_same(own.pair, stock.pair)
        if np.isfinite(stock.pair.step) and np.abs(stock.sums).max(initial=0) < 2**24:
            np.testing.assert_array_equal(own.sums, stock.sums)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [tf.int8, tf.float32])
def test_masks_and_factors(kind: str, dtype: tf.DType) -> None:
    for shape, masked, scaled, first in itertools.product(SHAPES, *[(False, True)] * 3):
        random = np.random.default_rng(shape)
        own, stock = both(
            of_kind(kind, shape),
            INTEGER,
            passes=tf.constant(random.random(shape) < 0.5) if masked else None,
            factor=tf.constant(2.0 ** random.integers(-12, 3, shape[-1]), tf.float32)
            if scaled
            else None,
            mask_first=first,
            dtype=dtype,
        )
        assert_same_errors(own, stock, scaled)


@pytest.mark.parametrize(
    ("grid", "per", "kind"),
    [
        *itertools.product(["INTEGER"], ["tensor", "position", "image"], KINDS),
        *itertools.product(
            sorted(set(GRIDS) - {"INTEGER", "Eq 18", "unit"}), ["position"], ["normal", "ties"]
        ),
    ],
)
def test_steps_of_channels_positions_and_images(grid: str, per: Per, kind: str) -> None:
    by_channel = dataclasses.replace(GRIDS[grid], per="channel")
    for shape, masked, scaled, first in itertools.product(SHAPES, *[(False, True)] * 3):
        random = np.random.default_rng(shape)
        error = of_kind(kind, shape) * 10.0 ** random.integers(-8, 0, shape[-1])
        own, stock = both(
            error.astype(np.float32),
            by_channel,
            passes=tf.constant(random.random(shape) < 0.5) if masked else None,
            factor=tf.constant(2.0 ** random.integers(-12, 3, shape[-1]), tf.float32)
            if scaled
            else None,
            per=per,
            mask_first=first,
        )
        assert_same_errors(own, stock, scaled)


def test_what_a_mask_hides_counts_when_it_is_not_finite() -> None:
    error = np.ones((1, 2, 2, 1), np.float32)
    error[0, 0, 0] = np.nan
    passes = tf.constant(np.isfinite(error))
    for result in both(error, INTEGER, passes=passes):
        assert np.isnan(result.pair.step)


def test_finite_values_of_which_the_sum_overflows_count_as_not_finite() -> None:
    for result in both(np.full((1, 10, 10, 1), 3e38, np.float32), INTEGER):
        assert np.isnan(result.pair.step)


def test_the_draws_depend_on_the_name() -> None:
    error = tf.constant(of_kind("normal", (1, 8, 8, 8)))
    first, second = (encode_error(error, INTEGER, name).integers for name in ("a", "b"))
    with kernels.stock():
        assert_same_bits(encode_error(error, INTEGER, "a").integers, first)
    assert np.any(first.numpy() != second.numpy())


def test_a_tensor_that_several_threads_share() -> None:
    error = of_kind("normal", (1, 64, 64, 64))
    own, stock = both(error, INTEGER, dtype=tf.int8)
    assert_same(own.pair, stock.pair)
    expected = np.sum(own.pair.integers, axis=(0, 1, 2), dtype=np.int64)
    np.testing.assert_array_equal(own.sums, expected)


def test_int8_is_refused_for_a_grid_that_it_does_not_hold() -> None:
    error = tf.ones([1, 1, 1, 1])
    for grid in (GRIDS["end at 1"], GRIDS["16 bits"], GRIDS["unit"]):
        with pytest.raises(ValueError, match="int8 does not hold"):
            encode_error_pair(error, grid, "conv1", dtype=tf.int8)


def test_the_op_refuses_shapes_that_do_not_fit() -> None:
    error = tf.ones([1, 2, 2, 3])
    with pytest.raises(tf.errors.InvalidArgumentError, match="passes must have the error's shape"):
        encode_error_pair(error, INTEGER, "conv1", passes=tf.ones([2], tf.bool))
    with pytest.raises(tf.errors.InvalidArgumentError, match="one number for each of 3 channels"):
        encode_error_pair(error, INTEGER, "conv1", factor=tf.ones([2]))
