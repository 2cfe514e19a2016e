"""The chart: bars in proportion, from zero."""

import numpy as np

from tfquantseg.benchmark.chart import chart
from tfquantseg.benchmark.suite import Quantity, Report

BLUE = (31, 119, 180)


def _report(ours: float, cases: int = 1) -> Report:
    return Report(
        title="What it costs",
        rows=tuple(
            {"case": f"unet {case}", "variant": variant, "seconds": seconds}
            for case in range(cases)
            for variant, seconds in (("float32", 1.0), ("ours", ours))
        ),
        variants={"float32": "Keras", "ours": "ours"},
        base="float32",
        ours=("ours",),
        columns=(),
        quantities=(Quantity(title="time", key="seconds", text=lambda row: "a time"),),
        notes=(),
        left_out=("tfmot is left out.",),
    )


def _blue(report: Report) -> int:
    return int(np.count_nonzero(np.all(np.asarray(chart(report)) == BLUE, axis=-1)))


def test_a_bar_is_as_long_as_its_number() -> None:
    whole, half = _blue(_report(1.0)), _blue(_report(0.5))
    # Within the pixel that a bar's ends may be off, and the dots of the base's line.
    assert abs(half / whole - 0.5) < 0.02
    assert whole > 1000


def test_every_case_has_its_panels() -> None:
    assert _blue(_report(0.5, cases=3)) == 3 * _blue(_report(0.5))
    assert chart(_report(0.5, cases=3)).height > chart(_report(0.5)).height


def test_a_quantity_of_zeros_draws_no_bars() -> None:
    rows = tuple({**row, "seconds": 0} for row in _report(0.5).rows)
    empty = Report(**{**vars(_report(0.5)), "rows": rows})
    assert _blue(empty) < 100  # one pixel wide
