"""The command sweep, as a user types it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tfquantseg.cli import sweep
from tfquantseg.training import child

RECIPE = """
from tests.training import tiny
def get_config():
    return tiny.config(rules=(), steps=4, evaluate_every=4, checkpoint_every=2)
"""
SWEEP = """
from ml_collections import ConfigDict
def get_config():
    return ConfigDict({
        "title": "What the momentum does",
        "base": "recipe.py",
        "variants": (
            {"name": "much", "changes": {}},
            {"name": "none", "changes": {"optimizer.momentum": 0.0, "steps": 60}},
        ),
        "baseline": "much",
        "seeds": (0,),
        "scores": ("miou", "loss"),
    })
"""
MINE = "--sweep=mine/momentum.py"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a sweep and its recipe in another one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BUILD_WORKING_DIRECTORY", raising=False)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "momentum.py").write_text(SWEEP)
    (tmp_path / "mine" / "recipe.py").write_text(RECIPE)
    return tmp_path


def rows(table: Path) -> list[str]:
    """The rows' makers, of lines that are whole."""
    text = table.read_text() if table.exists() else ""
    return [json.loads(line)["for"] for line in text.splitlines(keepends=True) if line[-1] == "\n"]


def test_a_sweep_killed_between_two_rows_goes_on(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep.main(["sweep", MINE, "--list"]) == 0
    assert "2 runs, 0 of them done, 2 to do.\n" in capsys.readouterr().out
    table = here / "tfquantseg-runs" / "sweep.jsonl"
    assert not table.parent.exists()

    program = f"from tfquantseg.cli import sweep; sweep.main(['sweep', '{MINE}'])"
    # Its runs have a session of their own, and are not killed with it.
    process = subprocess.Popen([sys.executable, "-c", program], env=child.environment())
    deadline = time.monotonic() + 200  # of a machine that does much else
    work = table.with_suffix("")

    while len(rows(table)) < 1 or len(list(work.glob("*/checkpoints/step_*"))) < 3:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert rows(table) == ["momentum: much, seed 0"]
    with table.open("a") as file:  # As if it had been killed while it wrote.
        file.write('{"key": "0123')

    while (code := sweep.main(["sweep", MINE, "--json=summary.json"])) == 2:
        told = capsys.readouterr().err
        assert "in use" in told and time.monotonic() < deadline  # Until its last run has ended.
        time.sleep(0.2)
    assert code == 0
    printed = capsys.readouterr()
    assert "momentum: 2 runs, 1 of them done before.\n" in printed.out
    assert rows(table) == ["momentum: much, seed 0", "momentum: none, seed 0"]
    said = [path.read_text() for path in work.glob("*.log")]
    assert sum("Going on in" in text for text in said) == 1
    assert "| none    | 1    |" in printed.out
    assert "Table  tfquantseg-runs/sweep.jsonl\nJSON   summary.json\nNext:\n" in printed.out
    summary = json.loads(Path("summary.json").read_text())
    assert [variant["name"] for variant in summary["variants"]] == ["much", "none"]

    assert sweep.main(["sweep", MINE, "--list", "--only=none"]) == 0
    listed = capsys.readouterr().out
    assert listed.startswith("none, seed 0  finished  tfquantseg-runs/sweep/")
    assert sweep.main(["sweep", MINE, "--summary"]) == 0
    assert "What the momentum does" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            [],
            "Give --sweep: a file, or one of figure10, ideas, table1, table2, table2_rates, ",
        ),
        (["--sweep=tabel1"], "There is no sweep 'tabel1' in"),
        (["--sweep=mine/recipe.py"], "Unknown key of sweep 'recipe'"),
        ([MINE, "--only=seed 7"], "--only='seed 7' is found in no run of 'momentum'"),
        ([MINE, "--list", "--summary"], "give one of them"),
        ([MINE, "--summary", "--only=none"], "--only chooses what is trained or listed, and"),
        ([MINE, "--list", "--json=list.json"], "--json is of the summary, which --list does not"),
        ([MINE, "--summary"], "holds no run of 'momentum' yet; leave out --summary"),
        ([MINE, "--table=mine"], "Is a directory"),
        ([MINE, "--json=no/such.json"], "There is no such folder to write to"),
    ],
)
def test_bad_input_is_one_message(
    here: Path, argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep.main(["sweep", *argv]) == 2
    told = capsys.readouterr().err
    assert told.startswith("Error: ") and told.count("\n") == 1
    assert message in told
    assert not (here / "tfquantseg-runs" / "sweep").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{}", '{"policy": "INTEGR"}', "variant much: no preset is called 'INTEGR'"),
        ("{}", '{"model.name": "unet"}', "variant much: Unknown model 'unet'"),
        ('"recipe.py"', '"digit"', "There is no recipe 'digit'"),
        ("def get_config", "def get", "is no sweep: it has no function get_config()"),
        ('"title"', "1 / 0", "fails: ZeroDivisionError"),
    ],
)
def test_a_sweep_that_cannot_be_trained_is_refused_before_the_first_run(
    here: Path, old: str, new: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "mine" / "momentum.py").write_text(SWEEP.replace(old, new))
    assert sweep.main(["sweep", MINE]) == 2
    assert message in capsys.readouterr().err
    assert not (here / "tfquantseg-runs").exists()


def test_help_names_the_sweeps(capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep.main(["sweep", "--help"]) == 0
    assert "figure10, ideas, table1, table2, table2_rates, table3" in capsys.readouterr().out
