"""What suites are asked for and hand back."""

import pytest

from tfquantseg.benchmark import suites
from tfquantseg.benchmark.suite import Column, chosen, table

COLUMNS = (
    Column(title="network", text=lambda row: row["network"], left=True),
    Column(title="step", text=lambda row: f"{row['seconds']:.2f} s"),
)


def test_a_table_is_markdown_with_aligned_columns() -> None:
    rows = [{"network": "unet", "seconds": 1.5}, {"network": "a longer one", "seconds": 12.25}]
    assert table(rows, COLUMNS).splitlines() == [
        "| network      |    step |",
        "| ------------ | ------: |",
        "| unet         |  1.50 s |",
        "| a longer one | 12.25 s |",
    ]


def test_names_are_chosen_in_the_order_in_which_they_are_known() -> None:
    known = ("float32", "INTEGER", "PAPER")
    assert chosen("variant", (), known) == known
    assert chosen("variant", ("PAPER", "float32"), known) == ("float32", "PAPER")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"Unknown variant 'INTGER'.*Did you mean 'INTEGER'\?"):
        chosen("variant", ("INTGER",), ("float32", "INTEGER"))


def test_an_unknown_suite_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"Unknown suite 'trainig'.*Did you mean 'training'\?"):
        suites.suite("trainig")
    with pytest.raises(ValueError, match="--suite is missing; give it one of inference, training"):
        suites.suite(None)
