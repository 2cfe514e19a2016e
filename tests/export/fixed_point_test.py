"""Multipliers and shifts, against exact rational arithmetic."""

import fractions

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfquantseg.export.fixed_point import averaged, multiplier, scaled

_FACTORS = st.floats(2.0**-24, 8.0)


@pytest.mark.parametrize(
    ("factor", "m", "shift"),
    [
        (1.0, 2**30, 1),
        (0.5, 2**30, 0),
        (0.75, 3 * 2**29, 0),
        (1 - 2.0**-40, 2**30, 1),  # rounds to 2**31, which is halved
        (2.0**-40, 0, 0),
    ],
)
def test_a_factor_has_31_bits_and_a_shift(factor: float, m: int, shift: int) -> None:
    assert multiplier(factor) == (m, shift)


@given(_FACTORS)
def test_a_multiplier_is_its_factor_to_31_bits(factor: float) -> None:
    m, shift = multiplier(factor)
    assert 2**30 <= m < 2**31
    # Half of the last of 31 bits.
    assert abs(m * 2.0 ** (shift - 31) - factor) <= factor * 2.0**-31


@given(st.integers(-(2**27), 2**27), _FACTORS)
def test_scaled_is_within_its_two_roundings_of_the_product(x: int, factor: float) -> None:
    exact = fractions.Fraction(x) * fractions.Fraction(factor)
    made = int(scaled(np.array([x]), factor)[0])
    # Half a step of the last rounding; the first one, and 31 bits of the factor, add little.
    assert abs(made - exact) <= fractions.Fraction(1, 2) + abs(exact) / 2**30 + 1 / 2


@pytest.mark.parametrize(
    ("x", "factor", "expected"),
    [
        (5, 0.5, 3),
        (-5, 0.5, -2),  # the first rounding takes ties up
        (5, 0.25, 2),  # 2.5 becomes 3, 1.5 becomes 2: rounded twice
        (-6, 0.25, -2),  # the second takes them away from zero
        (9, 3.0, 27),
    ],
)
def test_ties_go_where_the_kernels_take_them(x: int, factor: float, expected: int) -> None:
    assert scaled(np.array([x]), factor).tolist() == [expected]


@given(st.integers(-(2**20), 2**20), _FACTORS, st.integers(1, 5000))
def test_averaged_is_within_its_roundings(x: int, factor: float, count: int) -> None:
    exact = fractions.Fraction(x) * fractions.Fraction(factor) / count
    made = int(averaged(np.array([x]), factor, count)[0])
    # As above; cutting the divided multiplier leaves 30 of its bits.
    assert abs(made - exact) <= 1 + abs(exact) / 2**29
