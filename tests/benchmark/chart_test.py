"""The chart: bars in proportion, from zero."""

from matplotlib.colors import to_hex

from tfquantseg.benchmark.chart import BASE, OURS, chart
from tfquantseg.benchmark.suite import Quantity, Report


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


def _bars(report: Report) -> list[list[tuple[float, str]]]:
    """Of each panel, its bars: how much of the panel's width each fills, and its colour."""
    return [
        [
            (bar.get_width() / axes.get_xlim()[1], to_hex(bar.get_facecolor()))
            for bar in axes.patches
        ]
        for axes in chart(report).axes
    ]


def test_a_bar_is_as_long_as_its_number() -> None:
    for ours in (1.0, 0.5):
        ((base, blue),) = _bars(_report(ours))
        assert blue[0] == ours * base[0] > 0.5 * ours
        assert (base[1], blue[1]) == (BASE, OURS)


def test_a_panel_says_what_it_shows() -> None:
    figure = chart(_report(0.5))
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Keras", "ours"]
    assert [text.get_text() for text in axes.texts] == ["a time", "a time"]
    assert (axes.get_title("left"), axes.get_title("right")) == ("unet 0", "time")
    assert axes.lines[0].get_xdata() == [1.0, 1.0]  # the base's dotted line
    assert figure.get_suptitle() == "What it costs"
    assert figure.get_supxlabel() == "Dotted: Keras. Shorter is better.\ntfmot is left out."


def test_every_case_has_its_panels() -> None:
    assert _bars(_report(0.5, cases=3)) == 3 * _bars(_report(0.5))
    height = chart(_report(0.5)).get_figheight()
    assert chart(_report(0.5, cases=3)).get_figheight() > height + 2 * 0.8


def test_cases_of_one_network_share_a_scale_and_others_do_not() -> None:
    report = _report(0.5, cases=2)
    small, large = (
        report.rows[:2],
        [{**row, "seconds": 4 * row["seconds"]} for row in report.rows[2:]],
    )
    for network, share in (("unet", 1 / 4), ("fcn", 1)):
        large = [{**row, "network": network} for row in large]
        both = Report(**{**vars(report), "rows": (*small, *large)})
        first, second = ([length for length, _ in bars] for bars in _bars(both))
        assert first == [share * length for length in second]


def test_a_quantity_of_zeros_draws_no_bars() -> None:
    rows = tuple({**row, "seconds": 0} for row in _report(0.5).rows)
    empty = Report(**{**vars(_report(0.5)), "rows": rows})
    assert [length for bars in _bars(empty) for length, _ in bars] == [0, 0]
