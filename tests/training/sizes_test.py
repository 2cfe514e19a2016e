"""Which sizes fit a model, and how others are refused."""

import keras
import pytest

from tests.training import tiny
from tfquantseg.models import residual_unet
from tfquantseg.training import sizes


def test_multiples_of_the_stride_fit() -> None:
    for height, width in ((8, 8), (64, 24)):
        sizes.check(residual_unet(2, width=1), height, width)


@pytest.mark.parametrize("height", [60, 12, 63])
def test_other_sides_are_answered_with_the_stride(height: int) -> None:
    with pytest.raises(ValueError, match=rf"{height} x 64 pixels .*multiples of 8\. Change"):
        sizes.check(residual_unet(2, width=1), height, 64)


def test_a_file_is_answered_with_the_next_size() -> None:
    image = keras.Input((4, 8, 3))
    fixed = keras.Model(image, keras.layers.Conv2D(2, 1)(image))
    for model, size, told in (
        (residual_unet(2, width=1), (100, 150), "104,152"),
        (residual_unet(2, width=1), (100, 104), "104,104"),
        (fixed, (8, 8), "4,8"),
    ):
        with pytest.raises(ValueError, match=rf"do not fit .*\. Give --size={told}\.$"):
            sizes.check_file(model, *size)


def test_a_model_of_one_size_names_it() -> None:
    image = keras.Input((4, 8, 3))
    model = keras.Model(image, keras.layers.Conv2D(2, 1)(image))
    sizes.check(model, 4, 8)
    with pytest.raises(ValueError, match=r"accepted are sides of 4 x 8"):
        sizes.check(model, 8, 8)


def test_the_stride_is_the_least_multiple_that_fits() -> None:
    image = keras.Input((None, 8, 3))
    assert sizes.stride(residual_unet(2, width=1)) == 8
    assert sizes.stride(keras.Model(image, keras.layers.Conv2D(2, 1)(image))) == 1
    shrinks = keras.Model(image, keras.layers.Conv2D(2, 1, strides=4)(image))
    assert sizes.stride(shrinks) is None


def test_training_is_padded_to_a_multiple() -> None:
    config, model = tiny.config(), residual_unet(2, width=1)
    config.data.size = (60, 62)
    sizes.check_training(model, config)
    config.data.multiple = 1
    with pytest.raises(ValueError, match="Images of 60 x 62 pixels do not fit"):
        sizes.check_training(model, config)
