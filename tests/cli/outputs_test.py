"""What commands write over what is there already: refused, or told."""

import json
from pathlib import Path

import pytest
from absl import flags

from tfquantseg.cli import outputs


def _values(*argv: str) -> flags.FlagValues:
    values = flags.FlagValues()
    outputs.define_overwrite(values, "the sheet")
    outputs.define_json(values, "the numbers")
    values(["command", *argv])
    return values


def test_a_file_that_is_there_is_refused_unless_it_may_be_replaced(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    outputs.check_free(sheet, _values())
    sheet.touch()
    with pytest.raises(ValueError, match=r"sheet\.png is there already; .* give another --chart"):
        outputs.check_free(sheet, _values(), "chart")
    outputs.check_free(sheet, _values("--overwrite"))


def test_a_json_twin_is_replaced_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = outputs.json_path(_values("--json=found.json"))
    assert path == Path("found.json")
    assert outputs.write_json(path, {"a": 1}) == "found.json"
    assert outputs.write_json(path, {"a": 2}) == "found.json (replaced)"
    assert json.loads(path.read_text()) == {"a": 2}


def test_a_json_twin_is_checked_before_the_work(tmp_path: Path) -> None:
    assert outputs.json_path(_values()) is None
    with pytest.raises(OSError, match="There is no such folder"):
        outputs.json_path(_values(f"--json={tmp_path / 'no' / 'such.json'}"))
