"""Handwritten digits on photographs: what splits share (nothing), determinism, and the scenes."""

import hashlib

import numpy as np
import pytest

from tfquantseg.data import digits, load


def test_splits_share_no_digit() -> None:
    from sklearn.datasets import load_digits

    glyphs = [digits._material(split)[1] for split in ("train", "val", "test")]
    assert sum(map(len, glyphs)) == len(load_digits().target) == 1797
    # Not even two equal drawings by chance.
    drawings = [{glyph.tobytes() for glyph in split} for split in glyphs]
    assert sum(map(len, drawings)) == len(set.union(*drawings))


def test_splits_share_no_part_of_a_photograph() -> None:
    photos = [digits._material(split)[0] for split in ("train", "val", "test")]
    for bands in zip(*photos, strict=True):
        # The bands side by side are the photograph: 640 columns, each in one band.
        assert sum(band.width for band in bands) == 640
        columns = [{bytes(np.asarray(band)[:, x]) for x in range(band.width)} for band in bands]
        assert sum(map(len, columns)) == len(set.union(*columns))


def test_each_split_has_every_digit() -> None:
    for split in ("train", "val", "test"):
        _, glyphs, numerals = digits._material(split)
        assert len(glyphs) == len(numerals)
        # The ten digits are about equally frequent: each 10 % +- 3 %.
        share = np.bincount(numerals, minlength=10) / len(numerals)
        assert 0.07 <= share.min() <= share.max() <= 0.13


def test_a_scene_depends_on_seed_split_and_index_alone() -> None:
    few, many = load("digits", "train", scenes=5), load("digits", "train", scenes=50)
    for index in (4, 0):
        np.testing.assert_array_equal(few.read(index).image, many.read(index).image)
        np.testing.assert_array_equal(few.read(index).label, many.read(index).label)
    pictures = {
        hashlib.sha256(data.read(index).image).digest()
        for data in (few, load("digits", "val"), load("digits", "train", seed=1, scenes=5))
        for index in range(5)
    }
    assert len(pictures) == 15


def test_the_scenes_are_those_of_the_results() -> None:
    # Every table in docs/results/ is of these bytes; another way to draw must give them too.
    digest = hashlib.sha256()
    for split in digits.splits():
        for image, label in map(digits.load(split, scenes=20).read, range(20)):
            digest.update(image.tobytes())
            digest.update(label.tobytes())
    assert digest.hexdigest() == "11830e1e2161a82e021381bff77273ad61ec3c0cbc36293185d8d511212b5464"


def test_scenes_hold_several_digits_of_every_class() -> None:
    data = load("digits", "train", scenes=60)
    labels = np.stack([data.read(index).label for index in range(60)])
    share = np.bincount(labels.ravel(), minlength=11) / labels.size
    assert 0.75 < share[0] < 0.88
    assert share[1:].min() > 0.005
    classes = [len(np.unique(label)) - 1 for label in labels]
    assert min(classes) >= 1 and np.mean(classes) > 3


def test_paint_stands_out_and_the_rest_is_photograph() -> None:
    """Painted pixels are lighter than the outline around them, wherever they lie."""
    data = load("digits", "val", scenes=30)
    for index in range(30):
        image, label = data.read(index)
        painted = label > 0
        around = np.zeros_like(painted)
        around[1:] |= painted[:-1]
        around[:-1] |= painted[1:]
        around[:, 1:] |= painted[:, :-1]
        around[:, :-1] |= painted[:, 1:]
        brightest = image.max(2)
        assert brightest[painted].mean() > 40 + brightest[around & ~painted].mean()


def test_sizes_are_height_by_width() -> None:
    image, label = load("digits", "test", size=(48, 200)).read(3)
    assert (image.shape, label.shape) == ((48, 200, 3), (48, 200))
    assert label.any()


def test_the_smallest_scenes_can_all_be_drawn() -> None:
    data = load("digits", "train", size=(48, 48), scenes=300)
    assert np.mean([data.read(index).label.any() for index in range(300)]) > 0.95


@pytest.mark.parametrize("size", [(47, 96), (96, 0), (96,)])
def test_a_size_that_is_too_small_is_refused(size: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"Size .* integers from 48"):
        load("digits", "train", size=size)


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="Seed -1 is not accepted; give an integer from 0"):
        load("digits", "train", seed=-1)
    with pytest.raises(ValueError, match="Scenes 0 is not accepted; give an integer from 1"):
        load("digits", "train", scenes=0)


@pytest.mark.parametrize(
    ("option", "value"),
    [("size", 64), ("size", "64"), ("size", (64.0, 64)), ("scenes", "3"), ("seed", 0.5)],
)
def test_what_is_no_integer_is_refused(option: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"{option.title()} .* is not accepted; give .*integer"):
        load("digits", "train", **{option: value})
