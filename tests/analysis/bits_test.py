"""The score against k_U, from rows made by hand."""

import pytest

from tests.sweep.made import row
from tfquantseg.analysis.bits import bits
from tfquantseg.sweep.table import Row


def rows(*given: tuple[str, int, float | None]) -> dict[str, Row]:
    """Rows of (policy, seed, mIoU); None is a run that diverged."""
    found = {}
    for policy, seed, miou in given:
        made = row(seed)
        made["config"] = {**made["config"], "policy": policy}
        made["miou"], made["outcome"] = miou, "finished" if miou is not None else "diverged"
        found[f"{policy}{seed}"] = made
    return found


def test_each_configuration_with_several_k_U_is_a_curve() -> None:
    figure = bits(
        rows(
            ("INTEGER", 0, 0.5), ("INTEGER", 1, 0.7), ("INTEGER k_U=12", 0, 0.4),
            ("INTEGER k_U=12", 1, None), ("INTEGER k_U=8", 0, None), ("FLOAT", 0, 0.6),
            ("INTEGER k_W=4", 0, 0.1),
        )
    )  # fmt: skip
    assert figure.columns == ("configuration", "k_U", "miou", "standard_error", "runs", "diverged")
    assert figure.rows == (
        ("INTEGER, residual_unet", 8, "", "", 1, 1),
        ("INTEGER, residual_unet", 12, 0.4, "", 2, 1),
        ("INTEGER, residual_unet", 24, 0.6, pytest.approx(0.1), 2, 0),
        ("FLOAT, residual_unet", "", 0.6, "", 1, 0),
    )


def test_a_table_of_one_k_U_has_no_curve() -> None:
    with pytest.raises(ValueError, match="2 rows hold no configuration with several k_U"):
        bits(rows(("INTEGER", 0, 0.5), ("FLOAT", 0, 0.6)))
