"""What suites are asked for and hand back."""

import pytest

from tfquantseg.benchmark import suites
from tfquantseg.benchmark.suite import Column, Report, chosen, table

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


def test_ours_is_compared_with_every_other_variant_of_its_run() -> None:
    def row(case: str, variant: str, median: float) -> dict:
        spread = {"median": median, "low": median - 0.01, "high": median + 0.02}
        ratios = {"float32": spread, "PAPER": spread, "INTEGER": {"median": 1, "low": 1, "high": 1}}
        return {"case": case, "variant": variant, "ratios": ratios}

    report = Report(
        title="",
        rows=(
            row("unet", "float32", 1),
            row("unet", "PAPER", 0.9),
            row("unet", "INTEGER", 0.75),
            row("fcn", "float32", 1),
        ),
        variants={"float32": "Keras", "PAPER": "ours, PAPER", "INTEGER": "ours, INTEGER"},
        base="float32",
        ours=("PAPER", "INTEGER"),
        columns=(),
        quantities=(),
        notes=(),
        left_out=(),
    )
    assert report.comparisons() == [
        "unet: ours, INTEGER, as a share of Keras 0.75 (0.74-0.77); ours, PAPER 0.75 (0.74-0.77)."
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
    with pytest.raises(
        ValueError, match="--suite is missing; give it one of inference, training, kernels"
    ):
        suites.suite(None)
