"""The command analyze, on tiny runs."""

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from tests.sweep.made import row
from tests.training import tiny
from tfquantseg.cli import analyze
from tfquantseg.training.loop import train

FIGURES = set(analyze.OF_RUNS)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run whose first and last convolutions are integers, and one in float32."""
    folder = tmp_path_factory.mktemp("runs")
    changes = {"steps": 6, "evaluate_every": 3, "checkpoint_every": 3}
    train(tiny.config(**changes), folder / "integer", io.StringIO())
    train(tiny.config(rules=(), **changes), folder / "float", io.StringIO())
    return folder


def test_every_figure_of_a_run(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    argv = ["analyze", f"--workdir={runs / 'integer'}", f"--workdir={runs / 'float'}"]
    assert analyze.main([*argv, "--json=numbers.json"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    folder = runs / "integer" / "analysis"
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.{ending}" for name in FIGURES for ending in ("png", "csv")
    }
    numbers = json.loads(Path("numbers.json").read_text())
    assert set(numbers) == FIGURES
    tables = {}
    for name in FIGURES:
        with Image.open(folder / f"{name}.png") as picture:
            assert picture.width > 300
        with (folder / f"{name}.csv").open() as file:
            tables[name] = list(csv.DictReader(file))
        assert len(tables[name]) == len(numbers[name])
    assert {line["object"] for line in tables["distributions"]} == {"W", "A", "E1", "E2", "G"}
    assert {line["layer"] for line in tables["zeroed"] if line["object"] == "W"} == {"stem"}
    # Both runs, by the names of their folders, for their policy is called the same.
    assert {line["run"] for line in tables["loss"]} == {"integer", "float"}
    assert {line["run"] for line in tables["panels"]} == {"integer", "float"}
    assert [line["step"] for line in tables["loss"] if line["miou"]] == ["3", "6", "3", "6"]
    assert {line["step"] for line in tables["magnitudes"]} == {"0", "3", "6"}
    assert {line["part"] for line in tables["weights"]} == {
        "encoder", "decoder", "transposed convolutions",
    }  # fmt: skip
    assert [line["object"] for line in tables["norms"]] == ["sigma", "mu", "gamma", "beta"]
    assert "Next:\n  tfquantseg-evaluate --workdir=" in printed.out

    # There already: nothing is overwritten unless it was asked for.
    picture = folder / "loss.png"
    before = picture.stat().st_mtime_ns
    assert analyze.main([*argv, "--figures=loss"]) == 2
    assert "loss.png is there already; replace it with --overwrite" in capsys.readouterr().err
    assert picture.stat().st_mtime_ns == before
    assert analyze.main([*argv, "--figures=loss", "--overwrite"]) == 0
    assert picture.stat().st_mtime_ns != before


def test_what_does_not_apply_is_left_out_and_told(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    argv = ["analyze", f"--workdir={runs / 'float'}", f"--out={out}"]
    assert analyze.main(argv) == 0
    told = capsys.readouterr().err
    assert "Left out: levels. Nothing of this run is quantized" in told
    assert {path.stem for path in out.iterdir()} == FIGURES - {"levels", "zeroed"}
    assert analyze.main([*argv, "--figures=zeroed"]) == 2
    assert "Error: Nothing of this run is quantized" in capsys.readouterr().err


def test_figure_10_of_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfquantseg.sweep.description import key_of

    monkeypatch.chdir(tmp_path)
    rows = []
    for policy in ("INTEGER", "INTEGER k_U=12", "FLOAT"):
        made = row()
        made["config"] = {**made["config"], "policy": policy}
        made["key"] = key_of(made["config"])
        rows.append(json.dumps(made))
    table = tmp_path / "runs.jsonl"
    table.write_text("\n".join(rows) + "\n")
    assert analyze.main(["analyze", f"--sweep={table}"]) == 0
    lines = (tmp_path / "analysis" / "bits.csv").read_text().splitlines()
    assert lines[1:] == [
        '"INTEGER, residual_unet",12,0.5,,1,0',
        '"INTEGER, residual_unet",24,0.5,,1,0',
        '"FLOAT, residual_unet",,0.5,,1,0',
    ]
    out = capsys.readouterr().out
    assert "bits           analysis/bits.png, .csv\n" in out
    sweep = json.loads(rows[0])["for"].partition(":")[0]
    assert out.endswith(f"--sweep={sweep}.py --table={table} --summary\n")

    table.write_text("")
    assert analyze.main(["analyze", f"--sweep={table}", "--overwrite"]) == 2
    assert "is empty: no run has finished" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "Give either --workdir or --sweep; received neither."),
        (["--workdir=w", "--sweep=s"], "received both."),
        (["--workdir=nowhere"], "nowhere is not a work directory: it has no config.json."),
        (["--workdir=nowhere", "--figures=los"], "Unknown figure 'los'.*Did you mean 'loss'"),
        (["--workdir=nowhere", "--figures=bits"], "Figure 'bits' is made of a --sweep"),
        (["--sweep=nowhere", "--figures=loss"], "Figure 'loss' is made of a --workdir"),
        (["--sweep=nowhere"], "There is no table nowhere"),
        (["--sweep=s", "--json=no/such.json"], "There is no such folder to write to"),
    ],
)
def test_bad_input_is_one_message(
    argv: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import re

    monkeypatch.chdir(tmp_path)
    assert analyze.main(["analyze", *argv]) == 2
    told = capsys.readouterr().err
    assert re.search(message, told) and told.startswith("Error: ") and told.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_run_without_a_checkpoint(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    config = (runs / "float" / "config.json").read_bytes()
    (tmp_path / "run" / "config.json").write_bytes(config)
    assert analyze.main(["analyze", f"--workdir={tmp_path / 'run'}"]) == 2
    assert "holds no checkpoint yet" in capsys.readouterr().err


def test_runs_on_other_data_are_not_shown_side_by_side(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = tiny.config(rules=(), steps=1, evaluate_every=1, checkpoint_every=1)
    changed.optimizer.boundaries = ()
    changed.data.val = "val[:0.5]"
    train(changed, tmp_path / "other", io.StringIO())
    argv = ["analyze", f"--workdir={runs / 'float'}", f"--workdir={tmp_path / 'other'}"]
    assert analyze.main([*argv, "--figures=panels", f"--out={tmp_path / 'out'}"]) == 2
    assert "was validated on other data: config.data.val is val[:0.5] there" in (
        capsys.readouterr().err
    )


def test_help_names_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert analyze.main(["analyze", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {name} " in shown for name in (*analyze.OF_RUNS, *analyze.OF_SWEEP))
