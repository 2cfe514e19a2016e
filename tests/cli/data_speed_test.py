"""The command data speed."""

import json
from pathlib import Path

import pytest

from tfquantseg.cli import data

SMALL = (
    "--config.data.options={'scenes': 8, 'size': (48, 48)}",
    "--config.data.size=(48, 48)",
    "--config.data.batch=2",
    "--seconds=0.1",
)


def test_the_pipeline_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BUILD_WORKING_DIRECTORY", raising=False)
    assert data.main(["data", "speed", *SMALL, "--nostep", "--json=speed.json"]) == 0
    out, told = capsys.readouterr()
    lines = out.splitlines()
    assert "reading all images once\nmeasuring decoded, 1 of 3\n" in told
    assert lines[0] == "digits, 8 images of train, 2 of 48 x 48 at a time"
    titles = [line.split(" | ")[0] for line in lines if line.startswith("| pipeline")]
    assert titles == ["| pipeline, decoded anew", "| pipeline, kept in memory"]
    assert "JSON   speed.json" in lines
    assert lines[-1].startswith("  tfquantseg-train --config=digits ")
    found = json.loads(Path("speed.json").read_text())
    assert (found["data"], found["policy"], found["examples"]) == ("digits", "INTEGER", 8)
    assert set(found) == {"data", "policy", "examples", "decoded", "cached"}


def test_beside_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ("--config.policy=FLOAT", "--config.model.args.width=2")
    assert data.main(["data", "speed", *SMALL, *argv]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split("|") for line in lines if line.startswith(("| pipeline", "| training"))]
    decoded, cached, step = rows
    assert [text.strip() for text in step[4:6]] == ["", ""]
    assert float(decoded[4]) > 0
    assert float(cached[5]) > 0


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--seconds=0",), "flag --seconds=0"),
        (("--seconds=inf",), "--seconds=inf is not accepted; give a number of seconds."),
        (("--seconds=nan",), "Flag --seconds is nan; give it a number"),
        (("--json=none/a.json",), "There is no such folder to write to: none."),
        (("--config.data.name=digit",), "Unknown data set 'digit'"),
    ],
)
def test_what_is_not_accepted(
    argv: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data.main(["data", "speed", *argv]) == 2
    assert message in capsys.readouterr().err
