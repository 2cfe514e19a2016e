"""The suite training, on the smallest run there is."""

import math

import pytest

from tfquantseg.benchmark import profile, training
from tfquantseg.benchmark.pairs import Turn
from tfquantseg.benchmark.suite import Report, Request

ROUNDS = 2


@pytest.fixture(scope="module")
def report() -> Report:
    """Float32 and INTEGER, two rounds."""
    said: list[str] = []
    made = training.run(
        Request(
            networks=("residual_unet",),
            variants=("INTEGER",),
            sizes=((32, 32),),
            batches=(1,),
            rounds=ROUNDS,
            say=said.append,
        )
    )
    assert any("| residual_unet 32x32, batch 1 |" in text for text in said)
    return made


def test_rows_hold_what_the_contract_asks_for(report: Report) -> None:
    rows = report.as_json()["rows"]
    assert [(row["network"], row["variant"]) for row in rows] == [
        ("residual_unet", "float32"),
        ("residual_unet", "INTEGER"),
    ]
    for row in rows:
        assert (row["size"], row["batch"]) == ([32, 32], 1)
        assert row["step_seconds"] > 0
        assert row["cpu_seconds"] > 0
        # Weights and momentum of 0.8 million parameters, and what a step keeps.
        assert 5e6 < row["memory_bytes"] < 2e9
        assert len(row["rounds"]) == ROUNDS
        assert 0 < row["loss"] < 10  # of random labels; 2.4 where all classes are equally likely
        assert row["steps"] % ROUNDS == 0


def test_ratios_are_those_of_the_pairs(report: Report) -> None:
    base, ours = report.rows
    assert (base["ratio_to_float32"], base["memory_ratio_to_float32"]) == (1, 1)
    pairs = [one / other for one, other in zip(ours["rounds"], base["rounds"], strict=True)]
    # Of two numbers, the median is the mean.
    assert math.isclose(ours["ratio_to_float32"], sum(pairs) / 2)
    assert min(pairs) <= ours["ratio_low"] <= ours["ratio_high"] <= max(pairs)
    assert ours["ratios"]["float32"]["median"] == ours["ratio_to_float32"]
    assert ours["ratios"]["INTEGER"] == {"median": 1, "low": 1, "high": 1}


def test_the_table_has_a_line_for_each(report: Report) -> None:
    header, rule, *lines = report.table().splitlines()
    assert "| variant" in header
    assert set(rule) == set("| -:")
    assert [line.split("|")[2].strip() for line in lines] == ["Keras, float32", "ours, INTEGER"]


def test_ours_has_a_profile_and_kerass_has_none(report: Report) -> None:
    base, ours = report.rows
    assert base["profile_seconds"] == {}
    assert tuple(ours["profile_seconds"]) == profile.KINDS
    assert all(seconds > 0 for seconds in ours["profile_seconds"].values())
    header, _, *lines = training.profile_table(report.rows).splitlines()
    assert [part.strip() for part in header.split("|")[1:3]] == [
        "residual_unet 32x32, batch 1, by op",
        "ours, INTEGER",
    ]
    assert [line.split("|")[1].strip() for line in lines] == [*profile.KINDS, "all ops"]
    assert lines[-1].rstrip(" |").endswith("100%")


def test_each_variant_keeps_its_own_turns() -> None:
    taken = {"float32": [Turn((2.0,), 3.0)], "INTEGER": [Turn((1.0, 1.5, 7.0), 2.5)]}
    row = training._measured(taken, {"float32": 200, "INTEGER": 100}, "INTEGER")
    assert (row["step_seconds"], row["cpu_seconds"]) == (1.5, 2.5)
    assert (row["ratio_to_float32"], row["memory_ratio_to_float32"]) == (0.75, 0.5)
    assert (row["steps"], row["rounds"]) == (3, [1.5])


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(networks=("residual_une",)), "Did you mean 'residual_unet'"),
        (Request(variants=("mixed_bfloat",)), "Did you mean 'mixed_bfloat16'"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(request_: Request, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        training.run(request_)


def test_tfmot_is_left_out_with_a_word_where_there_is_none(report: Report) -> None:
    assert report.left_out == ()  # it was not asked for
