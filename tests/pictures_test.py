"""Pictures: which pixel has which colour, and how sheets are laid out."""

import io

import numpy as np
import pytest
from PIL import Image

from tfquantseg import pictures

PALETTE = ((0, 0, 0), (200, 100, 50), (0, 0, 255))
GREY = np.full((6, 8, 3), 100, np.uint8)


def _halves(left: int, right: int) -> np.ndarray:
    label = np.full((6, 8), left, np.uint8)
    label[:, 4:] = right
    return label


def test_inside_a_region_colour_and_image_are_mixed() -> None:
    mixed = pictures.overlay(GREY, np.ones((6, 8), np.uint8), PALETTE, opacity=0.25)
    # 3/4 of 100 and 1/4 of (200, 100, 50), rounded half to even.
    np.testing.assert_array_equal(mixed, np.broadcast_to([125, 100, 88], (6, 8, 3)))


def test_a_border_is_drawn_on_both_sides_in_full_colour() -> None:
    mixed = pictures.overlay(GREY, _halves(1, 2), PALETTE, opacity=0)
    row = [[100] * 3] * 3 + [[200, 100, 50], [0, 0, 255]] + [[100] * 3] * 3
    np.testing.assert_array_equal(mixed, np.broadcast_to(row, (6, 8, 3)))


def test_a_border_is_wider_on_a_large_image() -> None:
    label = np.zeros((2, 960), np.uint8)
    label[:, 480:] = 2
    mixed = pictures.overlay(np.full((2, 960, 3), 100, np.uint8), label, PALETTE, opacity=0)
    drawn = (mixed != 100).any(axis=2)
    assert drawn[0].nonzero()[0].tolist() == [478, 479, 480, 481]


def test_a_class_is_seen_on_its_own_colour() -> None:
    label = np.zeros((6, 8), np.uint8)
    label[2:4, 3:6] = 1
    image = np.full((6, 8, 3), PALETTE[1], np.uint8)
    mixed = pictures.overlay(image, label, PALETTE)
    np.testing.assert_array_equal(mixed[2:4, 3:6], image[2:4, 3:6])
    np.testing.assert_array_equal(mixed[2:4, 2], np.zeros((2, 3)))


def test_ignored_pixels_are_the_image() -> None:
    mixed = pictures.overlay(GREY, _halves(1, 7), PALETTE, ignore_label=7, opacity=1)
    np.testing.assert_array_equal(mixed[:, 4:], GREY[:, 4:])
    np.testing.assert_array_equal(mixed[:, :4], np.broadcast_to(PALETTE[1], (6, 4, 3)))


def test_arguments_are_left_alone() -> None:
    image, label = GREY.copy(), _halves(1, 2)
    pictures.overlay(image, label, PALETTE)
    np.testing.assert_array_equal(image, GREY)
    np.testing.assert_array_equal(label, _halves(1, 2))


def test_one_pixel_has_no_border() -> None:
    mixed = pictures.overlay(GREY[:1, :1], np.full((1, 1), 2, np.uint8), PALETTE, opacity=1)
    assert mixed.tolist() == [[[0, 0, 255]]]


@pytest.mark.parametrize(
    ("image", "label", "opacity", "message"),
    [
        (GREY[..., 0], _halves(0, 1), 0.5, r"picture is uint8 \[6, 8\]; accepted is uint8 \[heig"),
        (GREY / 255, _halves(0, 1), 0.5, r"picture is float64 \[6, 8, 3\]"),
        (GREY, _halves(0, 1)[1:], 0.5, r"label map is uint8 \[5, 8\]; accepted is uint8 \[6, 8\]"),
        (GREY, _halves(0, 1).astype(int), 0.5, r"label map is int64 \[6, 8\]"),
        (GREY, _halves(0, 3), 0.5, "holds label 3 and the palette 3 colours.*at least 4"),
        (GREY, _halves(0, 1), 1.5, "Opacity 1.5 is not accepted"),
        (GREY, _halves(0, 1), float("nan"), "Opacity nan is not accepted"),
    ],
)
def test_overlay_refuses(
    image: np.ndarray, label: np.ndarray, opacity: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        pictures.overlay(image, label, PALETTE, opacity=opacity)


def test_an_index_image_holds_labels_and_colours() -> None:
    file = io.BytesIO()
    pictures.index_image(_halves(1, 2), PALETTE).save(file, "PNG")
    # Byte 24 of a PNG is the number of bits of an index.
    assert file.getvalue()[24] == 8
    read = Image.open(file)
    assert read.mode == "P"
    np.testing.assert_array_equal(np.asarray(read), _halves(1, 2))
    rgb = np.asarray(read.convert("RGB"))
    assert (rgb[0, 0].tolist(), rgb[0, 7].tolist()) == ([200, 100, 50], [0, 0, 255])


def test_an_index_image_has_a_colour_for_each_label() -> None:
    with pytest.raises(ValueError, match="holds label 255 and the palette 3 colours"):
        pictures.index_image(_halves(0, 255), PALETTE)
    with pytest.raises(ValueError, match=r"label map is uint8 \[0, 8\]"):
        pictures.index_image(_halves(0, 1)[:0], PALETTE)
    with pytest.raises(ValueError, match="palette has 257 colours"):
        pictures.index_image(_halves(0, 1), [(0, 0, 0)] * 257)


def test_reduced_keeps_the_shape_and_what_is_small() -> None:
    assert pictures.reduced(GREY, 4).tolist() == [[[100] * 3] * 4] * 3
    assert pictures.reduced(GREY, 8) is GREY
    assert pictures.reduced(np.zeros((1, 300, 3), np.uint8), 3).shape == (1, 3, 3)


def _ink(sheet: Image.Image) -> np.ndarray:
    return np.asarray(sheet) != 255


def test_small_tiles_are_enlarged_by_a_whole_factor() -> None:
    tile = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    sheet = pictures.contact_sheet([tile], [""], tile_width=16)
    # 16 // 5 = 3: a picture of 12 x 15 pixels, after a gap of 10.
    assert sheet.size == (10 + 16 + 10, 10 + 12 + 20 + 10)
    shown = np.asarray(sheet)[10:22, 10:25]
    np.testing.assert_array_equal(shown, tile.repeat(3, axis=0).repeat(3, axis=1))


def test_large_tiles_are_scaled_down_and_keep_their_shape() -> None:
    tiles = [np.full((20, 64, 3), 9, np.uint8), np.full((100, 25, 3), 9, np.uint8)]
    ink = _ink(pictures.contact_sheet(tiles, ["", ""], columns=1, tile_width=32))[..., 0]
    # 64 x 20 becomes 32 x 10; 25 x 100 becomes 8 x 32, in the middle of 32.
    assert ink.shape == (10 + 10 + 20 + 10 + 32 + 20 + 10, 52)
    assert ink.sum(axis=1).tolist() == [0] * 10 + [32] * 10 + [0] * 30 + [8] * 32 + [0] * 30
    assert ink[50:82].any(axis=0).nonzero()[0].tolist() == list(range(22, 30))


def test_tiles_go_row_by_row() -> None:
    tiles = [np.full((16, 16, 3), value, np.uint8) for value in (1, 2, 3)]
    sheet = np.asarray(pictures.contact_sheet(tiles, [""] * 3, columns=2, tile_width=16))
    assert (sheet[18, 18, 0], sheet[18, 44, 0], sheet[64, 18, 0]) == (1, 2, 3)
    assert (sheet[56:72, 36:52] == 255).all()


def test_a_tile_stands_on_its_caption() -> None:
    tiles = [np.full(shape, 9, np.uint8) for shape in ((32, 8, 3), (4, 32, 3))]
    ink = _ink(pictures.contact_sheet(tiles, ["", ""], tile_width=32))[..., 0]
    assert ink[:, 52:84].any(axis=1).nonzero()[0].tolist() == list(range(38, 42))


def test_captions_stay_below_their_tiles() -> None:
    tile = np.full((32, 32, 3), 255, np.uint8)
    captions = ["a caption far too long for a tile of 32 pixels", "bytes \udcff, 図"]
    ink = _ink(pictures.contact_sheet([tile] * 2, captions, tile_width=32))
    columns = ink.any(axis=(0, 2)).nonzero()[0]
    # Letters may reach one pixel into the gap: their edges are smoothed.
    assert all(9 <= x <= 42 or 51 <= x <= 84 for x in columns)
    assert ink.any(axis=(1, 2)).nonzero()[0].min() > 42


def test_a_legend_names_the_classes_in_their_colours() -> None:
    tile = np.full((64, 64, 3), 255, np.uint8)
    plain = pictures.contact_sheet([tile], [""], tile_width=64)
    legend = [("road", (200, 100, 50)), ("sky", (0, 0, 255)), ("tree" * 40, (9, 9, 9))]
    sheet = pictures.contact_sheet([tile], [""], tile_width=64, legend=legend)
    assert sheet.width == plain.width
    # Each name has a line of its own: two are wider than 64 pixels.
    assert sheet.height == plain.height + 3 * 20 + 10
    colours = set(map(tuple, np.asarray(sheet).reshape(-1, 3).tolist()))
    assert {colour for _, colour in legend} <= colours


def test_a_sheet_refuses() -> None:
    with pytest.raises(ValueError, match="0 tiles and 0 captions; give at least one"):
        pictures.contact_sheet([], [])
    with pytest.raises(ValueError, match="1 tiles and 2 captions"):
        pictures.contact_sheet([GREY], ["a", "b"])
    with pytest.raises(ValueError, match="columns=0"):
        pictures.contact_sheet([GREY], ["a"], columns=0)
    with pytest.raises(ValueError, match="tile_width=15"):
        pictures.contact_sheet([GREY], ["a"], tile_width=15)
    with pytest.raises(ValueError, match=r"picture is uint8 \[6, 8\]"):
        pictures.contact_sheet([GREY[..., 0]], ["a"])
