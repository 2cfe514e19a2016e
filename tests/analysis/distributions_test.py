"""Distributions and levels of tensors made by hand."""

import numpy as np
import pytest

from tests.analysis.made import observed
from tfquantseg.analysis import distributions
from tfquantseg.analysis.figure import Figure

STEP = (
    observed("a", "W", [0.5, -0.5, 2.0, 0.0], [64, -64, 127, 0]),
    observed("b", "W", [1e-3, 0.02, 0.02, 0.02], [0, 3, 3, 3]),
    observed("a", "G", [1e-2, 1e-3, 1e-4, 1e-6], [100, 10, 1, 0]),
    observed("b", "G", [1e-3, 1e-3, 2e-3, 1e-3], None),
)


def values(figure: Figure, *key: object) -> list[object]:
    """The last column of the rows that begin so."""
    return [row[-1] for row in figure.rows if row[: len(key)] == key]


def test_magnitudes_and_what_a_constant_grid_would_lose() -> None:
    figure = distributions.distributions(STEP, "hand-made")
    assert figure.columns == ("object", "from_power_of_ten", "to_power_of_ten", "share")
    # Of the 8 weights one is zero; of the others 1e-3 lies below 2^-8, and 2 beyond 1.
    assert values(figure, "W", "zero") == [1 / 8]
    assert values(figure, "W", "below_half_a_step") == [1 / 8]
    assert values(figure, "W", "beyond_1") == [1 / 8]
    assert values(figure, "W", -1.75, -1.5) == [3 / 8]  # 0.02 is 10^-1.7
    assert values(figure, "W", -2.0, -1.75) == [0.0]
    bins = [row[-1] for row in figure.rows if row[0] == "W" and isinstance(row[1], float)]
    assert sum(bins) == 7 / 8
    assert figure.picture.width > 800  # two panels, W and G


def test_levels_count_each_integer() -> None:
    figure = distributions.levels(STEP, "hand-made")
    assert [row for row in figure.rows if row[0] == "W"] == [
        ("W", -64, 1 / 8), ("W", 0, 2 / 8), ("W", 3, 3 / 8), ("W", 64, 1 / 8), ("W", 127, 1 / 8),
    ]  # fmt: skip
    assert values(figure, "G", 0) == [1 / 4]  # of the layer that is quantized


def test_zeroed_layer_by_layer() -> None:
    figure = distributions.zeroed(STEP, "hand-made")
    # A zero that stays zero has lost nothing.
    assert figure.rows == (("a", "W", 0.0), ("b", "W", 1 / 4), ("a", "G", 1 / 4))


@pytest.mark.parametrize("make", [distributions.levels, distributions.zeroed])
def test_a_float_network_has_no_levels(make: object) -> None:
    with pytest.raises(ValueError, match="Nothing of this run is quantized"):
        make(STEP[-1:], "float")


def test_the_most_compact_and_the_most_scattered_gradient() -> None:
    figure = distributions.gradients(STEP, "hand-made")
    places = {(row[0], row[1]): row[2] for row in figure.rows}
    assert set(places) == {("compact", "b"), ("scattered", "a")}
    # log10 |G| of a: -2, -3, -4, -6, in float32.
    assert places["scattered", "a"] == pytest.approx(np.std([-2, -3, -4, -6]), rel=1e-6)


def test_one_gradient_is_not_compared() -> None:
    with pytest.raises(ValueError, match="1 layers have gradients that are not zero"):
        distributions.gradients(STEP[:3], "hand-made")
