"""A figure's two files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfquantseg.analysis.figure import Figure, check_free


def test_a_figure_is_a_picture_and_its_numbers(tmp_path: Path) -> None:
    picture = Image.fromarray(np.full((3, 4, 3), 7, np.uint8))
    figure = Figure("mine", picture, ("name", "share"), (("a, b", 0.5), ("c", "")))
    figure.write(tmp_path)
    assert (tmp_path / "mine.csv").read_text() == 'name,share\n"a, b",0.5\nc,\n'
    with Image.open(tmp_path / "mine.png") as read:
        np.testing.assert_array_equal(np.asarray(read), np.asarray(picture))
    assert figure.as_json() == [{"name": "a, b", "share": 0.5}, {"name": "c", "share": ""}]
    with pytest.raises(ValueError, match=r"mine\.png is there already; replace it with --overwr"):
        check_free(["other", "mine"], tmp_path, overwrite=False)
    check_free(["mine"], tmp_path, overwrite=True)
    check_free(["other"], tmp_path, overwrite=False)
    with pytest.raises(ValueError, match=r"mine\.csv is a file; give a folder"):
        check_free(["other"], tmp_path / "mine.csv", overwrite=True)
