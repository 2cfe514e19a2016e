"""The table: what counts as a row, who may append, and what a kill leaves."""

import json
import os
from pathlib import Path

import pytest

from tests.sweep.made import row
from tfquantseg.sweep import table


def test_what_was_appended_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    first, second = row(0), row(1, outcome="diverged", why="Step 3 failed.", miou=None)
    with table.opened(path) as opened:
        opened.append(first)
    with table.opened(path) as opened:
        assert opened.rows == {first["key"]: first}
        opened.append(second)
    assert list(table.read(path).values()) == [first, second]
    assert [json.loads(line) for line in path.read_text().splitlines()] == [first, second]


def test_there_is_no_table_yet(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    assert table.read(path) == {}
    with table.opened(path):
        pass
    assert not path.exists()


@pytest.mark.parametrize("kept", [1, 200, -1])
def test_a_row_half_written_does_not_count(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "runs.jsonl"
    with table.opened(path) as opened:
        opened.append(row(0))
        whole = path.stat().st_size
        opened.append(row(1))
    content = path.read_bytes()
    os.truncate(path, whole + kept if kept > 0 else len(content) + kept)
    assert list(table.read(path)) == [row(0)["key"]]
    with table.opened(path) as opened:
        assert list(opened.rows) == [row(0)["key"]]
        opened.append(row(1))
    assert path.read_bytes() == content


def test_two_sweeps_do_not_share_a_table_at_once(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    with table.opened(path) as opened:
        opened.append(row())
        again = table.opened(path)
        with pytest.raises(ValueError, match="in use: another sweep appends to it"), again:
            pass
        assert len(table.read(path)) == 1  # Looking is free.
    with table.opened(path) as opened:
        assert len(opened.rows) == 1


def test_a_table_replaced_meanwhile_is_not_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    with table.opened(path) as opened:
        opened.append(row())
        path.rename(tmp_path / "away")
        with pytest.raises(ValueError, match="was moved, removed or replaced"):
            opened.append(row(1))
        path.write_text("")
        with pytest.raises(ValueError, match="was moved, removed or replaced"):
            opened.append(row(1))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2, is no row"),
        ("3", "a row has the fields"),
        (json.dumps(row(2, outcome="well")), "its outcome is 'well'"),
        (json.dumps(row(2, key="0" * 12)), "its key is not that of its config"),
        (json.dumps(row(2, config=[])), "is no row"),
    ],
)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text(f"{json.dumps(row())}\n{line}\n")
    with pytest.raises(ValueError, match=message):
        table.read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"miou": float("nan")}, "its miou is nan"),
        ({"loss": float("inf")}, "its loss is inf"),
        ({"miou": "0.5"}, "its miou is '0.5'"),
        ({"pixel_accuracy": True}, "its pixel_accuracy is True"),
        ({"steps": 10**400}, "its steps is 1000"),
    ],
)
def test_scores_are_numbers(tmp_path: Path, change: dict, message: str) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text(json.dumps({**row(), **change}) + "\n")
    with pytest.raises(ValueError, match=message):
        table.read(path)


def test_a_run_stands_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text(2 * (json.dumps(row()) + "\n"))
    with pytest.raises(ValueError, match=r"line 2, .*its run stands in a line before too"):
        table.read(path)


def test_a_line_that_nests_too_deep(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text(100_000 * "[" + "\n")
    with pytest.raises(ValueError, match="line 1, is no row"):
        table.read(path)
