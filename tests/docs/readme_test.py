"""The README's Python code does what it says there."""

import pathlib
import re

import keras
import pytest

from tfquantseg.optimizer import off_grid

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
