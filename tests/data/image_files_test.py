"""Decoding files: what is accepted, and that damage is always named and never decoded."""

import pathlib
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tfquantseg.data import image_files

RGB = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.uint8)


def _save(path: pathlib.Path, array: np.ndarray, **options: object) -> pathlib.Path:
    Image.fromarray(array).save(path, **options)
    return path


def test_rgb_is_taken_as_it_is(tmp_path: pathlib.Path) -> None:
    np.testing.assert_array_equal(image_files.read_image(_save(tmp_path / "a.png", RGB)), RGB)


def test_jpeg_decodes_to_its_size(tmp_path: pathlib.Path) -> None:
    smooth = np.broadcast_to(np.arange(16, dtype=np.uint8)[:, None, None] * 9, (16, 12, 3))
    read = image_files.read_image(_save(tmp_path / "a.jpg", smooth, quality=95))
    assert read.dtype == np.uint8 and read.shape == (16, 12, 3)
    # A grey ramp at quality 95 loses 2 of 255 at most.
    assert np.abs(read.astype(int) - smooth).max() <= 2


def test_a_grey_image_has_its_channel_repeated(tmp_path: pathlib.Path) -> None:
    read = image_files.read_image(_save(tmp_path / "a.png", RGB[..., 0]))
    np.testing.assert_array_equal(read, np.repeat(RGB[..., :1], 3, axis=2))


def test_black_and_white_is_0_and_255(tmp_path: pathlib.Path) -> None:
    read = image_files.read_image(_save(tmp_path / "a.png", RGB[..., 0] > 127))
    np.testing.assert_array_equal(read[..., 1], np.where(RGB[..., 0] > 127, 255, 0))


def test_a_palette_image_is_looked_up(tmp_path: pathlib.Path) -> None:
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), mode="L").convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "a.png")
    expected = np.array([[10, 20, 30], [40, 50, 60]], np.uint8)[[[0, 1], [1, 0]]]
    np.testing.assert_array_equal(image_files.read_image(tmp_path / "a.png"), expected)


def test_an_opaque_alpha_channel_is_dropped(tmp_path: pathlib.Path) -> None:
    rgba = np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])
    np.testing.assert_array_equal(image_files.read_image(_save(tmp_path / "a.png", rgba)), RGB)


def test_transparent_pixels_are_refused(tmp_path: pathlib.Path) -> None:
    alpha = np.full(RGB.shape[:2], 255, np.uint8)
    alpha[2, 3] = 17
    path = _save(tmp_path / "a.png", np.dstack([RGB, alpha]))
    with pytest.raises(ValueError, match=rf"{path} has transparent pixels \(alpha down to 17"):
        image_files.read_image(path)


def test_a_transparent_colour_is_refused(tmp_path: pathlib.Path) -> None:
    path = _save(tmp_path / "a.png", RGB, transparency=tuple(map(int, RGB[0, 0])))
    with pytest.raises(ValueError, match="transparent pixels"):
        image_files.read_image(path)


def test_sixteen_bits_are_refused(tmp_path: pathlib.Path) -> None:
    path = _save(tmp_path / "a.png", RGB[..., 0].astype(np.uint16))
    with pytest.raises(ValueError, match=rf"{path} has pixels of mode 'I;16'.*8 bits"):
        image_files.read_image(path)
    with pytest.raises(ValueError, match=rf"{path} is a PNG of mode 'I;16'.*one byte a pixel"):
        image_files.read_labels(path)


@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_a_channel_are_refused(
    tmp_path: pathlib.Path, kind: int, channels: int
) -> None:
    # Pillow writes no such file: header, one row of filter 0 and zeros, end.
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", 5, 1, 16, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(1 + 5 * channels * 2))),
        (b"IEND", b""),
    )
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
            for name, data in parts
        )
    )
    with pytest.raises(ValueError, match=r"a\.png has 16 bits a channel; accepted are .* 8 bits"):
        image_files.read_image(tmp_path / "a.png")


def test_a_camera_s_turn_is_made_on_request(tmp_path: pathlib.Path) -> None:
    turn = Image.Exif()
    turn[0x0112] = 6  # the top of the scene is at the right: turn by 90 degrees clockwise
    path = _save(tmp_path / "a.png", RGB, exif=turn)
    np.testing.assert_array_equal(image_files.read_image(path), RGB)
    upright = image_files.read_image(path, upright=True)
    np.testing.assert_array_equal(upright, np.rot90(RGB, -1))
    plain = _save(tmp_path / "b.png", RGB)
    np.testing.assert_array_equal(image_files.read_image(plain, upright=True), RGB)


def test_several_pictures_in_one_file_are_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(RGB).save(path, save_all=True, append_images=[Image.fromarray(RGB)])
    with pytest.raises(ValueError, match=r"a\.tif holds 2 pictures; accepted is one"):
        image_files.read_image(path)


def test_a_photograph_with_what_the_camera_adds_is_read(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.jpg"
    flat = Image.new("RGB", (16, 8), (60, 60, 60))
    flat.save(path, "MPO", save_all=True, append_images=[Image.new("RGB", (4, 4))])
    read = image_files.read_image(path)
    # JPEG rounds the mean of 8 x 8 pixels, here to within 1 of 255.
    assert read.shape == (8, 16, 3) and np.abs(read.astype(int) - 60).max() <= 1


def test_labels_are_the_bytes_of_the_file(tmp_path: pathlib.Path) -> None:
    labels = np.array([[0, 1, 11], [255, 7, 3]], np.uint8)
    grey = _save(tmp_path / "grey.png", labels)
    palette = Image.fromarray(labels).convert("P")
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(image_files.read_labels(grey), labels)
    np.testing.assert_array_equal(image_files.read_labels(tmp_path / "palette.png"), labels)


def test_coloured_or_lossy_labels_are_refused(tmp_path: pathlib.Path) -> None:
    for path, hint in (
        (_save(tmp_path / "a.png", RGB), r" The command `data index-masks` makes .*"),
        (_save(tmp_path / "b.png", RGB[..., 0] > 127), r" The command `data index-masks` makes .*"),
        (_save(tmp_path / "a.jpg", RGB[..., 0]), ""),
    ):
        with pytest.raises(ValueError, match=rf"{path} is a .*holds the class index\.{hint}$"):
            image_files.read_labels(path)


def test_a_missing_file_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=rf"{tmp_path / 'a.png'} cannot be read: No such file"):
        image_files.read_image(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_truncated_file_is_named(tmp_path: pathlib.Path, suffix: str) -> None:
    path = _save(tmp_path / f"a.{suffix}", np.tile(RGB, (8, 8, 1)))
    whole = path.read_bytes()
    for kept in (0, 1, 10, len(whole) // 4, len(whole) // 2, len(whole) - 40):
        path.write_bytes(whole[:kept])
        with pytest.raises(ValueError, match=rf"{path} \({kept} bytes\) cannot be decoded"):
            image_files.read_image(path)


def test_no_flipped_byte_of_a_png_changes_a_pixel_unseen(tmp_path: pathlib.Path) -> None:
    path = _save(tmp_path / "a.png", RGB)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            read = image_files.read_image(path)
        except ValueError as error:
            assert str(path) in str(error)
        else:  # The end marker holds no pixel.
            np.testing.assert_array_equal(read, RGB)


def test_a_text_file_is_named(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(
        ValueError, match=rf"{path} \(43 bytes\) cannot be decoded: it begins like no"
    ):
        image_files.read_image(path)


def test_a_palette_comes_with_its_indices(tmp_path: pathlib.Path) -> None:
    labels = np.array([[0, 2, 2]], np.uint8)
    image = Image.fromarray(labels)
    image.save(tmp_path / "grey.png")
    image.putpalette([0, 0, 0, 1, 2, 3, 4, 5, 6])
    image.save(tmp_path / "palette.png")
    assert image_files.read_indexed(tmp_path / "grey.png").palette is None
    indexed = image_files.read_indexed(tmp_path / "palette.png")
    np.testing.assert_array_equal(indexed.indices, labels)
    assert indexed.palette == ((0, 0, 0), (1, 2, 3), (4, 5, 6))
    # Of those that occur.
    assert indexed.colours() == {0: (0, 0, 0), 2: (4, 5, 6)}
