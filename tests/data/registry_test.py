"""Finding a data set by name, and parts of its splits."""

import pathlib

import numpy as np
import pytest

from tfquantseg.data import load, splits


def _keys(split: str, scenes: int = 11) -> list[str]:
    data = load("digits", split, scenes=scenes)
    return [data.key(index) for index in range(len(data))]


def test_options_reach_the_data_set() -> None:
    data = load("digits", "val", size=(48, 72), scenes=3)
    assert (data.name, data.split, len(data)) == ("digits", "val", 3)
    assert data.read(2).label.shape == (48, 72)


def test_a_slice_is_named_and_contiguous() -> None:
    data = load("digits", "train[0.2:0.5]", scenes=10)
    assert data.split == "train[0.2:0.5]"
    assert [data.key(index) for index in range(3)] == ["train-00002", "train-00003", "train-00004"]
    whole = load("digits", "train", scenes=10)
    np.testing.assert_array_equal(data.read(0).image, whole.read(2).image)


@pytest.mark.parametrize("bound", ["0.1", "0.3333", "0.5", "0.8", ".95"])
def test_two_parts_share_nothing_and_miss_nothing(bound: str) -> None:
    assert _keys(f"train[:{bound}]") + _keys(f"train[{bound}:]") == _keys("train")


def test_bounds_may_be_left_out() -> None:
    assert _keys("train[:]") == _keys("train[0:1]") == _keys("train")


@pytest.mark.parametrize(
    "split",
    ["train[", "train[0.5]", "train[:80%]", "train[:1.2]", "train[0.5:0.2]", "train[x:]", ""],
)
def test_a_split_that_is_not_understood_is_answered_with_examples(split: str) -> None:
    with pytest.raises(ValueError, match=r"is not understood; accepted .*'train\[:0\.8\]'"):
        load("digits", split)


def test_a_slice_without_examples_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'val\[:0\.01\]' holds none of the 10 examples"):
        load("digits", "val[:0.01]", scenes=10)


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"Unknown data set 'digit'.*Did you mean 'digits'\?"):
        load("digit", "train")
    with pytest.raises(ValueError, match=r"Unknown split of data set 'digits' 'vall'.*'val'\?"):
        load("digits", "vall")
    with pytest.raises(ValueError, match=r"Unknown option of data set 'digits' 'seeds'.*'seed'\?"):
        load("digits", "train", seeds=1)


def test_splits_are_those_that_can_be_loaded(tmp_path: pathlib.Path) -> None:
    assert splits("digits", scenes=3, cache_bytes=0) == ("train", "val", "test")
    for name in ("val.txt", "train.txt"):
        (tmp_path / name).write_text("")
    assert splits("camvid", root=tmp_path) == ("train", "val")
    with pytest.raises(ValueError, match=r"Unknown option of data set 'camvid' 'rot'.*'root'\?"):
        splits("camvid", rot=tmp_path)
    with pytest.raises(ValueError, match=r"There is no CamVid data folder .*x\. Give the folder"):
        splits("camvid", root=tmp_path / "x")
