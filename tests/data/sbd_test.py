"""SBD's masks: its own files, and files that are not."""

import pathlib

import numpy as np
import pytest
import scipy.io

from tests.data import published_trees
from tfquantseg.data import sbd

LABELS = np.array([[0, 1, 20], [3, 3, 0]], np.uint8)


def test_a_mask_is_read(tmp_path: pathlib.Path) -> None:
    root = published_trees.sbd(tmp_path, {"train": ("a",)}, LABELS)
    labels = sbd.read(root / "cls/a.mat")
    np.testing.assert_array_equal(labels, LABELS)
    assert labels.dtype == np.uint8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"colors": np.zeros((3, 3))}, r"it holds colors; expected is the structure GTcls with"),
        ({"GTinst": {"Segmentation": LABELS}}, r"it holds GTinst; .* is of inst/, .* file of cls/"),
        ({"GTcls": {"Boundaries": LABELS}}, r"it holds GTcls; .* with the field Segmentation"),
        ({"GTcls": LABELS}, r"it holds GTcls; expected is the structure"),
        ({"GTcls": {"Segmentation": LABELS / 2}}, r"Segmentation is float64 \[2, 3\]; expected is"),
        ({}, r"it holds nothing; expected"),
    ],
)
def test_a_mat_file_that_is_not_sbds(tmp_path: pathlib.Path, content: dict, message: str) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, content)
    with pytest.raises(ValueError, match=rf"{path} is no label map of SBD: .*{message}"):
        sbd.read(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: b"no MATLAB file at all, whatever its name says" * 5,
        lambda whole: whole[:140],
        lambda whole: whole[:-20],
        lambda whole: whole[:150] + bytes(len(whole) - 150),
    ],
)
def test_a_damaged_file_is_named(tmp_path: pathlib.Path, damage) -> None:
    root = published_trees.sbd(tmp_path, {"train": ("a",)}, LABELS)
    path = root / "cls/a.mat"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        ValueError, match=rf"{path} \(\d+ bytes\) cannot be decoded as a MATLAB 5 .*cls/;"
    ):
        sbd.read(path)


def test_a_missing_file_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"x\.mat cannot be read: No such file"):
        sbd.read(tmp_path / "x.mat")


@pytest.mark.data
def test_a_real_mat_file_of_another_data_set(data_root: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"color150\.mat is no label map of SBD: it holds colors"):
        sbd.read(data_root / "SceneParse150/color150.mat")
