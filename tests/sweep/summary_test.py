"""Means, standard errors and paired differences, against numbers worked out by hand."""

import math
from typing import Any

import pytest

from tests.sweep.made import described
from tests.training import tiny
from tfquantseg.sweep.description import Sweep, sweep_of
from tfquantseg.sweep.summary import Mean, summary_of
from tfquantseg.sweep.table import FIELDS, Row


def sweep(**changes: Any) -> Sweep:
    """FLOAT and INTEGER, three seeds."""
    return sweep_of("mine", described(**{"seeds": (0, 1, 2), **changes}), {"tiny": tiny.config()})


def rows(chosen: Sweep, miou: dict[str, float | None]) -> dict[str, Row]:
    """The rows of runs by name; None is one that diverged."""
    found = {}
    for run in chosen.runs:
        if run.name in miou:
            value = miou[run.name]
            outcome = "diverged" if value is None else "finished"
            scores = dict.fromkeys(FIELDS, value)
            found[run.key] = {**scores, "outcome": outcome, "config": run.config}
    return found


MIOU: dict[str, float | None] = {
    "FLOAT, seed 0": 0.50, "FLOAT, seed 1": 0.60, "FLOAT, seed 2": 0.70,
    "INTEGER, seed 0": 0.51, "INTEGER, seed 1": 0.62, "INTEGER, seed 2": 0.73,
}  # fmt: skip


def test_a_mean_and_its_standard_error() -> None:
    mean = Mean.of([0.5, 0.6, 0.7])
    assert mean is not None and mean.error is not None
    assert mean.mean == pytest.approx(0.6)
    # s = 0.1 with n - 1 in its denominator, over the root of 3.
    assert mean.error == pytest.approx(0.1 / math.sqrt(3))
    assert Mean.of([]) is None
    assert Mean.of([0.5]) == Mean(0.5, None, 1)


@pytest.mark.parametrize(
    ("mean", "resolved"),
    [(Mean(0.21, 0.1, 3), True), (Mean(-0.21, 0.1, 3), True), (Mean(0.2, 0.1, 3), False),
     (Mean(0.2, None, 1), False)],
)  # fmt: skip
def test_a_difference_is_resolved_beyond_two_standard_errors(mean: Mean, resolved: bool) -> None:
    assert mean.resolved == resolved


def test_differences_are_taken_seed_by_seed() -> None:
    chosen = sweep()
    integer = summary_of(chosen, rows(chosen, MIOU)).lines[1]
    difference = integer.differences["miou"]
    assert difference is not None and difference.error is not None
    # +1, +2 and +3 points: 2 on average, s = 1, though the seeds lie 10 points apart.
    assert difference.mean == pytest.approx(0.02)
    assert difference.error == pytest.approx(0.01 / math.sqrt(3))
    assert difference.resolved


def test_the_table_in_markdown() -> None:
    chosen = sweep()
    shown = summary_of(chosen, rows(chosen, MIOU)).markdown().splitlines()
    assert shown[0] == "What the policy does"
    assert [cell.strip() for cell in shown[2].split("|")[1:-1]] == [
        "variant", "runs", "mIoU", "minus FLOAT", "last training loss", "minus FLOAT",
    ]  # fmt: skip
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown[4:6]]
    assert cells[0][:4] == ["FLOAT", "3", "60.00 ± 5.77", "-"]
    assert cells[1][:4] == ["INTEGER", "3", "62.00 ± 6.35", "+2.00 ± 0.58"]
    assert len({len(line) for line in shown[2:6]}) == 1


def test_a_difference_within_the_noise_is_not_resolved() -> None:
    chosen = sweep()
    noisy = {**MIOU, "INTEGER, seed 0": 0.47}
    assert "+0.67 ± 1.86, not resolved" in summary_of(chosen, rows(chosen, noisy)).markdown()


def test_a_run_that_diverged_or_is_to_do_is_told_and_not_averaged() -> None:
    chosen = sweep()
    some = {name: value for name, value in MIOU.items() if name != "FLOAT, seed 2"}
    summary = summary_of(chosen, rows(chosen, {**some, "INTEGER, seed 0": None}))
    cells = [line.split("|")[2].strip() for line in summary.markdown().splitlines()[4:6]]
    assert cells == ["2, 1 to do", "2, 1 diverged"]
    # Seed 1 alone is there for both.
    assert summary.lines[1].differences["miou"] == Mean(pytest.approx(0.02), None, 1)
    assert "+2.00 (one seed)" in summary.markdown()


def test_all_diverged() -> None:
    chosen = sweep()
    none = {name: None if "INTEGER" in name else value for name, value in MIOU.items()}
    line = summary_of(chosen, rows(chosen, none)).markdown().splitlines()[5]
    assert [cell.strip() for cell in line.split("|")[1:4]] == ["INTEGER", "0, 3 diverged", "-"]


def test_each_baseline_has_a_table() -> None:
    variants = (
        {"name": "FLOAT", "changes": {"policy": "FLOAT"}},
        {"name": "INTEGER", "changes": {"policy": "INTEGER"}, "baseline": "INTEGER"},
        {"name": "four", "changes": {"policy": "INTEGER k_W=4"}, "baseline": "INTEGER"},
    )
    chosen = sweep(variants=variants)
    values = {"FLOAT, seed 0": 0.5, "INTEGER, seed 0": 0.6, "four, seed 0": 0.4}
    shown = summary_of(chosen, rows(chosen, values)).markdown()
    assert shown.count("| variant") == 2
    assert "minus INTEGER" in shown
    assert "-20.00 (one seed)" in shown


def test_json_says_the_same() -> None:
    chosen = sweep()
    told = summary_of(chosen, rows(chosen, MIOU)).as_json()
    assert (told["sweep"], told["title"]) == ("mine", "What the policy does")
    integer = told["variants"][1]
    assert (integer["name"], integer["baseline"]) == ("INTEGER", "FLOAT")
    assert integer["scores"]["miou"]["values"] == {"0": 0.51, "1": 0.62, "2": 0.73}
    assert integer["scores"]["miou"]["difference"]["resolved"] is True
    assert integer["scores"]["miou"]["difference"]["seeds"] == 3
    assert told["variants"][0]["scores"]["miou"]["difference"] is None
