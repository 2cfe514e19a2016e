"""Ratios are taken pair by pair, of turns that alternate."""

import pytest

from tfquantseg.benchmark.pairs import (
    Spread,
    Turn,
    all_seconds,
    interleaved,
    percentile,
    ratios,
)


def _turns(*medians: float) -> list[Turn]:
    return [Turn((median,), 0.0) for median in medians]


def test_turns_alternate() -> None:
    called: list[str] = []

    def turn(name: str) -> int:
        called.append(name)
        return len(called)

    taken = interleaved({name: lambda name=name: turn(name) for name in "ABC"}, 2)
    assert called == ["A", "B", "C", "A", "B", "C"]
    assert taken == {"A": [1, 4], "B": [2, 5], "C": [3, 6]}


def test_a_ratio_is_that_of_two_turns_of_the_same_round() -> None:
    # The machine slows down from round to round; a ratio of two medians would be 3 / 2 too, but
    # that of any other pairing would not.
    slow, fast = _turns(3, 6, 12), _turns(2, 4, 8)
    assert ratios(slow, fast) == [1.5, 1.5, 1.5]
    assert Spread.of(ratios(slow, fast)) == Spread(1.5, 1.5, 1.5)
    # Their medians' ratio would be 1; the pairs' ratios are 3, 1 and 1 / 3 of 2, 1, 2 / 3.
    assert ratios(_turns(2, 1, 2), _turns(1, 1, 3)) == [2, 1, 2 / 3]


def test_a_turn_counts_by_its_median() -> None:
    assert Turn((1.0, 100.0, 2.0), 0.0).median == 2.0
    assert ratios([Turn((1.0, 100.0, 2.0), 0.0)], [Turn((4.0,), 0.0)]) == [0.5]


def test_turns_of_unequal_rounds_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="Turns of 2 and 1 rounds are no pairs"):
        ratios(_turns(1, 2), _turns(1))


def test_the_spread_is_median_and_quartiles() -> None:
    assert Spread.of([5, 1, 2, 4, 3]) == Spread(3, 2, 4)
    assert Spread.of([7]) == Spread(7, 7, 7)


def test_percentiles_are_of_every_step() -> None:
    turns = [Turn(tuple(range(10)), 0.0), Turn(tuple(range(10, 21)), 0.0)]
    assert all_seconds(turns) == list(range(21))
    assert percentile(all_seconds(turns), 95) == 19
