"""What slices of tensors become, against what NumPy makes of the same slices."""

import keras
import numpy as np
import pytest
from keras import layers

from tests.transform.networks import conv, error, inputs_of, network
from tfquantseg.policy import FLOAT, INTEGER
from tfquantseg.transform import flatten, quantize

CROPS = {
    "both": (slice(None), slice(1, -1), slice(2, None), slice(None)),
    "height alone": (slice(None), slice(3)),
    "behind all": (Ellipsis, slice(None, 5), slice(None)),
    "beyond": (slice(None), slice(0, 99), slice(-4, None, 1)),
    "nothing": (Ellipsis,),
}


@pytest.mark.parametrize("case", CROPS)
def test_height_and_width_are_cropped(case: str) -> None:
    model = network(lambda x: conv(x[CROPS[case]], "c"), "cropped")
    flat = flatten(model)
    assert [type(layer) for layer in flat.layers[1:]] == [layers.Cropping2D, layers.Conv2D]
    x = inputs_of(model)
    np.testing.assert_array_equal(flat(x), model(x))
    np.testing.assert_array_equal(quantize(model, FLOAT)(x), model(x))
    assert error(quantize(model, INTEGER)(x), model(x)) < 0.1  # of 8 bits


def test_a_border_is_cropped_of_images_of_any_size() -> None:
    image = keras.Input((None, None, 3))
    flat = flatten(keras.Model(image, conv(image[:, 1:-2, 3:], "c")))
    assert flat.layers[1].cropping == ((1, 2), (3, 0))


LEFT = {
    "channels": lambda x: x[..., :2],
    "every second": lambda x: x[:, ::2],
    "a row": lambda x: x[:, 0],
}


@pytest.mark.parametrize("case", LEFT)
def test_other_slices_are_refused_with_what_to_build(case: str) -> None:
    with pytest.raises(ValueError, match=r"GetItem.* crop height and width with Cropping2D"):
        quantize(network(lambda x: LEFT[case](conv(x, "c")), "sliced"), INTEGER)
