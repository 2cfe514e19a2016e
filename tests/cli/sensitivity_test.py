"""The command sensitivity, on networks that were trained a few steps."""

import ast
import contextlib
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.cli import short_run
from tfquantseg import Rules, preset
from tfquantseg.cli import sensitivity, train

QUICK = ("--batches=1",)
COARSE = "INTEGER k_W=2 k_A=3 k_E1=3 k_E2=3 k_G=3"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work directory of a run of two steps in float32."""
    return short_run.trained_in(tmp_path_factory.mktemp("trained") / "float", "FLOAT")


@pytest.fixture(scope="module")
def measured(trained: Path) -> tuple[Path, dict[str, Any], str]:
    """The folder of a coarse policy's costs, the numbers, and what was printed."""
    out, printed = trained.parent / "coarse", io.StringIO()
    argv = ["sensitivity", f"--workdir={trained}", f"--out={out}", *QUICK, f"--policy={COARSE}"]
    # So little is accepted that layers have to be lifted, however a network of two steps is.
    asked = ["--rise=0.0001", "--lost=0.001", f"--json={out}.json"]
    with contextlib.redirect_stdout(printed):
        assert sensitivity.main([*argv, *asked]) == 0
    return out, json.loads(Path(f"{out}.json").read_text()), printed.getvalue()


def test_every_object_has_its_cost(measured: tuple[Path, dict[str, Any], str]) -> None:
    out, found, printed = measured
    letters = [one["letter"] for one in found["findings"]]
    # Thirteen convolutions, of which the one that enlarges has its error behind no batch norm.
    assert {letter: letters.count(letter) for letter in ("W", "E2", "G")} == {
        "W": 13,
        "E2": 13,
        "G": 13,
    }
    for one in found["findings"]:
        forward = one["letter"] in ("W", "A")
        assert (one["loss"] is None) != forward and (one["lost"] is None) == forward
        assert forward or -1e-6 < one["lost"] < 2
    with (out / "sensitivity_forward.csv").open() as file:
        rises = [float(row["loss_rise"]) for row in csv.DictReader(file)]
    assert rises == sorted(rises, reverse=True)
    assert len(rises) == letters.count("W") + letters.count("A")
    for name in ("sensitivity_forward", "sensitivity_backward"):
        with Image.open(out / f"{name}.png") as picture:
            assert picture.width > 500
    assert "layer  " in printed and f"Rules    {out}/rules.txt" in printed


def test_rules_lift_layers_and_are_checked(measured: tuple[Path, dict[str, Any], str]) -> None:
    out, found, printed = measured
    text = (out / "rules.txt").read_text()
    pairs = ast.literal_eval(text)
    assert [list(pair) for pair in pairs] == found["rules"] and pairs
    rules = Rules((*((pattern, preset(name)) for pattern, name in pairs), (".*", preset(COARSE))))
    for layer in found["lifted"]["forward"]:
        policy = rules.policy_for(layer)
        assert 8 in (policy.k_W, policy.k_A)
    assert found["predicted"]["loss_rise"] <= 0.0001 * found["float32"]["loss"]
    assert found["predicted"]["lost_descent"] <= 0.001
    none, these = found["measured"]["none lifted"], found["measured"]["these rules"]
    assert these["lost_descent"] < none["lost_descent"]
    assert abs(these["loss_rise"]) < abs(none["loss_rise"])
    assert "Measured at once, these rules: the loss " in printed
    for flag, name in (("rise", "loss_rise"), ("lost", "lost_descent")):
        told = f"costs do not add up here. Give a lower --{flag}, and see." in printed
        assert told == (these[name] > found["accepted"][name])
    assert (f"--policy='{COARSE} E_scale=per_vector'" in printed) == told
    assert f'--config.rules="$(cat {out}/rules.txt)"' in printed


def test_train_takes_the_rules(measured: tuple[Path, dict[str, Any], str], tmp_path: Path) -> None:
    rules = (measured[0] / "rules.txt").read_text()
    argv = ["train", *short_run.TINY, f"--config.policy={COARSE}", f"--config.rules={rules}"]
    run = tmp_path / "mixed"
    assert train.main([*argv, f"--workdir={run}"]) == 0
    objects = (run / "objects.txt").read_text().splitlines()
    bits = {line.split()[0]: line.split()[2] for line in objects if line.split()[1] == "W"}
    lifted = {pattern for pattern, name in measured[1]["rules"] if "k_W=8" in name}
    assert lifted
    assert bits == {name: "8" if name in lifted else "2" for name in bits}


def test_eight_bits_need_no_rules_and_a_run_in_integers_is_taken_as_float(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = short_run.trained_in(tmp_path / "integer", "INTEGER")
    capsys.readouterr()
    argv = ["sensitivity", f"--workdir={run}", *QUICK, "--objects=W,G", "--layers=stem|logits"]
    argv.append("--policy=INTEGER E_scale=per_vector")  # no fewer bits than INTEGER's own
    asked = ["--rise=0.5", "--lost=0.5"]  # of four layers' objects, at 8 bits
    assert sensitivity.main([*argv, *asked]) == 0
    printed = capsys.readouterr().out
    assert (run / "sensitivity" / "rules.txt").read_text() == "()\n"
    assert "W and A lifted to those of FLOAT: of no layer." in printed
    assert "these rules" not in printed
    assert sensitivity.main([*argv, *asked]) == 2
    assert "is there already; replace it with --overwrite" in capsys.readouterr().err
    assert sensitivity.main([*argv, *asked, "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--layers=stm"], "matches no layer with an object (did you mean 'stem'?)"),
        (["--layers=("], "--layers '(' is no regular expression"),
        (["--objects=W,E"], "Unknown object 'E'"),
        (["--policy=FLOAT"], "which quantizes nothing; give what is to be measured"),
        (["--better=INTEGR"], "no preset is called 'INTEGR'"),
        (["--policy=INTEGER k_W=None", "--objects=W"], "quantizes none of W in these layers"),
        (["--json=/no/such/file"], "There is no such folder to write to: /no/such."),
        (["--out=configs/digits.py"], "configs/digits.py is a file; give a folder"),
        (["--checkpoint=first"], "value should be one of <best|last>"),
    ],
)
def test_bad_flags(
    trained: Path, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sensitivity.main(["sensitivity", f"--workdir={trained}", *QUICK, *flags]) == 2
    assert message in capsys.readouterr().err
    assert not (trained / "sensitivity").exists()


def test_weights_that_are_no_numbers_are_named(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = short_run.without_numbers(trained, tmp_path / "run")
    assert sensitivity.main(["sensitivity", f"--workdir={run}"]) == 2
    assert "values of stem/kernel are not finite" in capsys.readouterr().err


def test_what_is_no_work_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sensitivity.main(["sensitivity", f"--workdir={tmp_path}"]) == 2
    assert "is not a work directory" in capsys.readouterr().err
