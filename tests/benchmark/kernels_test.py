"""The suite kernels, on tiny pieces."""

import dataclasses
import math

import pytest

from tests.kernels.values import needs_own_ops
from tfquantseg.benchmark import kernels, kernels_worker, pieces
from tfquantseg.benchmark.chart import chart
from tfquantseg.benchmark.pairs import Turn
from tfquantseg.benchmark.pieces import Convolution, Elementwise
from tfquantseg.benchmark.suite import Report, Request

CONVOLUTION = Convolution(
    name="tiny", about="made", images=(1, 8, 8, 16), kernel=(3, 3), channels=16
)
UPDATE = next(piece for piece in pieces.PIECES if piece.name == "update")
TINY = (CONVOLUTION, dataclasses.replace(UPDATE, shape=(3, 3, 16, 16)))


@pytest.fixture(scope="module")
def report() -> Report:
    """Two tiny pieces, two rounds."""
    return kernels.measure(Request(rounds=2, say=lambda text: None), TINY)


@needs_own_ops
def test_rows_are_of_each_product_and_of_each_elementwise_piece(report: Report) -> None:
    rows = [(row["case"], row["variant"]) for row in report.rows]
    products = [f"tiny, {name.replace('_', ' ')}" for name in pieces.PRODUCTS]
    assert rows == [
        *((case, variant) for case in products for variant in ("float32", "bfloat16", "own")),
        ("update", "float32"),
        ("update", "own"),
    ]
    assert report.left_out == ()


def test_rows_hold_what_they_promise(report: Report) -> None:
    for row in report.as_json()["rows"]:
        assert row["seconds"] > 0
        # So tiny a piece is all overhead: far from its floor, and not beyond it.
        assert 0 < row["share_of_floor"] < 1
        assert row["over_floor"] == 1 / row["share_of_floor"]
        assert len(row["rounds"]) == 2
        if row["piece"] == "update":
            assert (row["elements"], row["bytes"]) == (2304, 2304 * 28)
            assert math.isclose(row["bytes_per_second"], row["bytes"] / row["seconds"])
        else:
            assert row["operations"] == CONVOLUTION.operations
            assert math.isclose(row["operations_per_second"], row["operations"] / row["seconds"])
    assert {row["ratio_to_float32"] for row in report.rows if row["variant"] == "float32"} == {1}


def test_table_and_chart_show_every_row(report: Report) -> None:
    assert len(report.table().splitlines()) == 2 + len(report.rows)
    assert sum(len(axes.patches) for axes in chart(report).axes[:: len(report.quantities)]) == len(
        report.rows
    )


def test_floors_are_of_the_operands_type_and_shares_of_fastest_steps() -> None:
    taken = {
        "float32": [Turn((2.0, 3.0), 0.0)],
        "bfloat16": [Turn((2.0,), 0.0)],
        "own": [Turn((1.0, 0.5), 0.0)],
    }
    run = kernels.Measured(CONVOLUTION, "forward", taken)
    times = CONVOLUTION.operations / (2 * kernels_worker.MATRIX**3)
    made = kernels.rows(run, {"float32": 0.1, "bfloat16": 0.05})
    for row, least, fastest in zip(made, (0.1, 0.05, 0.1 / 4), (2.0, 2.0, 0.5), strict=True):
        assert math.isclose(row["floor_seconds"], times * least)
        assert math.isclose(row["share_of_floor"], times * least / fastest)
        assert set(row["ratios"]) == {"float32", "bfloat16", "own"}
    assert [row["seconds"] for row in made] == [2.5, 2.0, 0.75]


def test_the_floor_of_memory_is_the_rate_of_copying() -> None:
    piece = Elementwise(name="one", about="", shape=(1, 1, 1, 100), bytes_each=12)
    # 64 MiB were read and as many written in two seconds.
    expected = 1200 / (2 * 4 * 2**24) * 2.0
    assert math.isclose(kernels.floor_seconds(piece, {"copy": 2.0}, "own"), expected)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(networks=("fcn8s_vgg16",)), "--networks is not for --suite=kernels: .* --pieces"),
        (Request(sizes=((8, 8),)), "--sizes is not for --suite=kernels"),
        (Request(batches=(2,)), "--batch is not for --suite=kernels"),
        (Request(pieces=("vgg_conv33",)), "Did you mean 'vgg_conv3'"),
        (Request(variants=("owm",)), "Did you mean 'own'"),
    ],
)
def test_what_pieces_do_not_have_is_refused(request_: Request, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kernels.run(request_)


def test_without_own_ops_they_are_left_out_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernels.kernels, "ops", lambda: None)
    monkeypatch.setattr(kernels.kernels, "why_not", lambda: "There is no library.")
    said = ("Left out: own ops. There is no library.",)
    assert kernels.available(("bfloat16", "own")) == (("float32", "bfloat16"), said)
    assert kernels.available(("bfloat16",)) == (("float32", "bfloat16"), ())  # not asked for
