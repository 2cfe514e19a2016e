"""The input's grid, padding and cropping."""

import keras
import numpy as np
import pytest

from tfquantseg.models import framing


def test_bytes_meet_the_8_bit_grid_exactly() -> None:
    pixels, x = framing.image((32, 32), 32)
    image = np.arange(32 * 32 * 3, dtype=np.float32).reshape(1, 32, 32, 3) % 256
    on_grid = np.asarray(keras.Model(pixels, x)(image)) * 128
    np.testing.assert_array_equal(on_grid, image - 128)


def test_padding_is_grey_at_the_bottom_and_right_and_crop_undoes_it() -> None:
    pixels, x = framing.image((33, 40), 32)
    model = keras.Model(pixels, [x, framing.crop(x, (33, 40), 32)])
    image = np.random.default_rng(0).integers(0, 256, (1, 33, 40, 3)).astype(np.float32)
    padded, cropped = (np.asarray(y) for y in model(image))
    assert padded.shape == (1, 64, 64, 3)
    np.testing.assert_array_equal(padded[:, :33, :40], image / 128 - 1)
    assert not padded[:, 33:].any()
    assert not padded[:, :, 40:].any()
    np.testing.assert_array_equal(cropped, image / 128 - 1)


def test_sizes_that_fit_need_no_padding() -> None:
    pixels, x = framing.image((64, 96), 32)
    assert framing.crop(x, (64, 96), 32) is x
    assert [layer.name for layer in keras.Model(pixels, x).layers] == ["image", "grid"]


def test_no_size_accepts_any() -> None:
    pixels, x = framing.image(None, 32)
    assert pixels.shape == (None, None, None, 3)
    assert framing.crop(x, None, 32) is x


@pytest.mark.parametrize("size", [(31, 64), (64, 0), (64.0, 64), (True, 64)])
def test_sides_below_32_pixels_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="must be an integer of at least 32"):
        framing.image(size, 32)


def test_a_size_is_two_sides() -> None:
    with pytest.raises(ValueError, match=r"\(height, width\) or None, got \(64,\)"):
        framing.image((64,), 32)  # type: ignore[arg-type]
