"""The command benchmark: its table, its chart, its JSON twin and what it refuses."""

import json
from pathlib import Path

import pytest
from PIL import Image

from tfquantseg.benchmark import networks, suites
from tfquantseg.cli import benchmark

SMALL = ("--networks=residual_unet", "--sizes=32x32", "--rounds=1", "--threads=1")


def test_one_run_gives_table_chart_and_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    argv = ["benchmark", "--suite=inference", *SMALL, "--json=speed.json", "--variants=ours"]
    assert benchmark.main(argv) == 0
    shown = capsys.readouterr().out
    assert "| int8, ours " in shown
    assert "Chart  benchmark-inference.png\nJSON   speed.json\nNext:\n" in shown
    assert shown.endswith("--suite=training\n  tfquantseg-benchmark --suite=kernels\n")
    report = json.loads(Path("speed.json").read_text())
    assert report["suite"] == "inference"
    assert report["machine"]["threads"] == 1
    assert {"processor", "cores", "load_before", "versions"} < set(report["machine"])
    assert [row["variant"] for row in report["rows"]] == ["float32", "ours"]
    with Image.open("benchmark-inference.png") as picture:
        assert picture.width > 500
    assert benchmark.main(argv) == 2
    told = capsys.readouterr()
    assert "benchmark-inference.png is there already; replace it with --overwrite" in told.err
    assert "writing files" not in told.out


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (
            "--suite=infrence",
            "Unknown suite 'infrence'; accepted: inference, kernels, training. Did you",
        ),
        ("--networks=fcn8_vgg16", "Did you mean 'fcn8s_vgg16'?"),
        ("--variants=our", "Did you mean 'ours'?"),
        ("--pieces=update", "--pieces is not for --suite=inference"),
        ("--sizes=96", "--sizes has '96'; accepted are heights and widths in pixels, as in 96x96"),
        ("--batch=0", "--batch has '0'; accepted are numbers of images"),
        ("--peers_python=/no/such", "which can't be run"),
        ("--json=/no/such/folder.json", "There is no such folder to write to: /no/such."),
        ("--chart=/no/such/folder.png", "There is no such folder to write to: /no/such."),
    ],
)
def test_bad_input_is_one_message_before_any_work(
    argument: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmark.main(["benchmark", "--suite=inference", argument]) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert "writing files" not in told.out


def test_a_missing_suite_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["benchmark"]) == 2
    assert (
        "--suite is missing; give it one of inference, training, kernels."
        in capsys.readouterr().err
    )


def test_help_names_every_suite_and_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["benchmark", "--help"]) == 0
    shown = capsys.readouterr().out
    for name in (*networks.names(), *suites.names()):
        assert name in shown
