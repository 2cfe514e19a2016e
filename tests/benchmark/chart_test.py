"""The chart: bars in proportion, from zero."""

import numpy as np

from tfquantseg.benchmark.chart import chart
from tfquantseg.benchmark.suite import Quantity, Report

BLUE = (31, 119, 180)


def _report(ours: float, cases: int = 1) -> Report:
    return Report(
        title="What it costs",
        rows=tuple(
            {"case": f"unet {case}", "network": "unet", "variant": variant, "seconds": seconds}
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


def test_cases_of_one_network_share_a_scale_and_others_do_not() -> None:
    report = _report(0.5, cases=2)
    small, large = (
        report.rows[:2],
        [{**row, "seconds": 4 * row["seconds"]} for row in report.rows[2:]],
    )
    for network, share in (("unet", 1 / 4), ("fcn", 1)):
        large = [{**row, "network": network} for row in large]
        both = Report(**{**vars(report), "rows": (*small, *large)})
        # Within a pixel and the dots of the base's line, as above.
        assert abs(_blue(both) / _blue(_report(0.5)) - (1 + share)) < 0.04


def test_a_quantity_of_zeros_draws_no_bars() -> None:
    rows = tuple({**row, "seconds": 0} for row in _report(0.5).rows)
    empty = Report(**{**vars(_report(0.5)), "rows": rows})
    assert _blue(empty) < 100  # one pixel wide
