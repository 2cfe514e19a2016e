"""The suite inference, on the smallest run there is."""

import pytest

from tfquantseg.benchmark import inference
from tfquantseg.benchmark.suite import Report, Request

ROUNDS = 3


@pytest.fixture(scope="module")
def report() -> Report:
    """Float32 and ours."""
    return inference.run(
        Request(
            networks=("residual_unet",),
            variants=("ours",),
            sizes=((32, 64),),
            rounds=ROUNDS,
            say=lambda text: None,
        )
    )


def test_rows_hold_latency_size_memory_and_operators(report: Report) -> None:
    base, ours = report.as_json()["rows"]
    assert [row["variant"] for row in (base, ours)] == ["float32", "ours"]
    for row in (base, ours):
        assert (row["network"], row["size"]) == ("residual_unet", [32, 64])
        assert 0 < row["latency_seconds"] <= row["p95_seconds"]
        assert row["memory_bytes"] > row["file_bytes"] / 2
        assert row["operators"]["CONV_2D"] == 12
        assert len(row["rounds"]) == ROUNDS
    # A byte a weight in place of four; what else a file holds is small.
    assert 0.2 < ours["file_bytes"] / base["file_bytes"] < 0.35
    assert base["ratio_to_float32"] == 1


def test_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="a file runs one image at a time"):
        inference.run(Request(batches=(4,)))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(networks=("deeplab_resnet50",)), "Did you mean 'deeplabv3_resnet50'"),
        (Request(variants=("stock",)), "Unknown variant 'stock'; accepted: float32, ours, stock"),
    ],
)
def test_unknown_names_are_answered_with_what_there_is(request_: Request, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        inference.run(request_)
