"""The README's Python code does what it says there."""

import pathlib
import re

import keras
import pytest

from tfquantseg.optimizer import off_grid
from tfquantseg.policy import preset, presets

LINES = 15


def test_the_python_code_trains_and_evaluates(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", pathlib.Path("README.md").read_text(), re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= LINES
    keras.utils.set_random_seed(0)
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    model = names["model"]
    (loss,) = model.history.history["loss"]
    # The mean over the steps; 2.4 is that of 11 equally likely classes.
    assert loss < 1.5
    assert model.optimizer.iterations == 50
    assert [off_grid(variable) for variable in model.trainable_variables] == [0] * 8
    scores = names["metrics"].scores(names["np"].concatenate(names["counts"]))
    assert capsys.readouterr().out.endswith(f"{scores}\n")
    # Of the background, which most pixels are.
    assert scores.pixel_accuracy > 0.5


def test_every_preset_is_explained_and_every_policy_named_exists() -> None:
    readme = pathlib.Path("README.md").read_text()
    rows = [line.split("|")[1] for line in readme.splitlines() if line.startswith("| `")]
    assert set(presets()) == {name for row in rows for name in re.findall(r"`([A-Z0-9_]+)`", row)}
    named = re.findall(r"--config\.policy='?([A-Z][A-Za-z0-9_= ]+)", readme)
    assert "INTEGER k_W=4 norm=l2" in named
    assert [preset(text.split(" --")[0]).name for text in named if text != "NAME"]
