"""Three bytes a value: every integer of 24 bits, every grid of masters, and what does not fit."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tfquantseg.numerics import Uniform, pack, pack24, unpack, unpack24

MOST = 2**23 - 1


def bits(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float32).view(np.int32)


def test_the_bytes_of_known_integers():
    packed = pack24(np.array([0, 1, -1, 256, MOST, -MOST, -(2**23)]))
    assert packed.dtype == np.uint8
    assert packed.tolist() == [
        [0, 0, 0],
        [1, 0, 0],
        [255, 255, 255],
        [0, 1, 0],
        [255, 255, 127],
        [1, 0, 128],
        [0, 0, 128],
    ]


def test_every_integer_of_24_bits_comes_back():
    integers = np.arange(-(2**23), 2**23, dtype=np.int32)
    packed = pack24(integers)
    assert packed.nbytes == 3 * integers.size
    assert np.array_equal(unpack24(packed), integers)


@given(st.lists(st.integers(-(2**23), MOST)))
def test_any_list_comes_back(integers):
    array = np.array(integers, np.int64)
    assert unpack24(pack24(array)).tolist() == integers


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1, 1), (2, 3, 4)])
def test_shapes_are_kept(shape):
    integers = np.arange(np.prod(shape, dtype=int), dtype=np.int16).reshape(shape)
    packed = pack24(integers)
    assert packed.shape == (*shape, 3)
    again = unpack24(packed)
    assert again.shape == shape and again.dtype == np.int32
    assert np.array_equal(again, integers)


def test_an_array_that_is_no_row_of_memory():
    integers = np.arange(24, dtype=np.int32).reshape(4, 6).T[::2]
    assert np.array_equal(unpack24(pack24(integers)), integers)
    packed = np.stack([pack24(integers)] * 2, axis=-1)[..., 0]
    assert np.array_equal(unpack24(packed), integers)


@pytest.mark.parametrize(("wrong", "said"), [(2**23, "to 8388608"), (-(2**23) - 1, "-8388609 to")])
def test_beyond_24_bits_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        pack24(np.array([0, wrong]))


def test_other_arrays_are_refused():
    with pytest.raises(ValueError, match="takes an array of integers, received float32"):
        pack24(np.zeros(2, np.float32))
    for wrong in (np.zeros([2, 3], np.int8), np.zeros([2, 4], np.uint8), np.zeros([], np.uint8)):
        with pytest.raises(ValueError, match=r"takes uint8 \[\.\.\., 3\], received"):
            unpack24(wrong)


GRIDS = [
    Uniform(24),
    Uniform(24, 2.0**-100),
    Uniform(24, 2.0**100),
    Uniform(24, 2.0**-104 * 2**4),
    Uniform(8, 4.0),
    Uniform(24, (0.25, 1.0, 8.0)),
    Uniform(24, (0.25, 1.0, 8.0), axis=0),
]


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_values_on_a_grid_come_back_bit_for_bit(grid):
    rng = np.random.default_rng(0)
    x = rng.standard_normal([3, 5, 3]).astype(np.float32)
    limits = grid.limits_for(x.shape)
    x.flat[:4] = [9, -9, 0, 1e-30]  # beyond either end, and zeros
    values = grid(tf.constant(x * limits)).numpy()
    values[1, 0, :2] = 0.0, -0.0  # the zero with a sign, as rounding a small negative one makes it
    packed = pack(values, grid)
    assert packed is not None and packed.nbytes == values.nbytes * 3 // 4
    assert np.array_equal(bits(unpack(packed, grid)), bits(values))


@pytest.mark.parametrize("wrong", [2.0**-24, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e38])
def test_one_value_off_the_grid_leaves_all_unpacked(wrong):
    values = np.array([0.5, wrong], np.float32)
    assert pack(values, Uniform(24)) is None
    assert pack(values[:1], Uniform(24)) is not None


def test_other_types_are_left_alone():
    assert pack(np.zeros(3, np.float64), Uniform(24)) is None
    assert pack(np.zeros(3, np.int64), Uniform(24)) is None
