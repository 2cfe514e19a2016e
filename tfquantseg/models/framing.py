"""What all models share at their two ends: the input and its grid, the padding and the crop.

A network that halves its input k times needs sides that are multiples of its *stride* 2**k. For an
input of a fixed size the model itself pads at the bottom and at the right, so that pixel (i, j)
keeps its place, and crops its logits back.
"""

import keras
from keras import layers

Size = tuple[int, int]

_SMALLEST = 32  # pixels: FCN8s' stride, below which its last feature map would be empty


def check_at_least(name: str, received: int, least: int, why: str) -> None:
    """Refuses a count that is too small.

    Raises:
        ValueError: `received` is no integer, or below `least`.
    """
    if isinstance(received, bool) or not isinstance(received, int) or received < least:
        raise ValueError(f"{name} must be an integer of at least {least} ({why}), got {received}.")


def image(input_size: Size | None, stride: int) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Makes the model's input and puts it on the 8-bit grid: (u - 128) / 128 for a byte u.

    Padding comes after the rescaling: padded pixels are 0, which is the grey u = 128.

    Args:
        input_size: height and width in pixels, each at least 32. None accepts any multiple of
            `stride`, which whoever calls the model must then provide.
        stride: the sides of the second tensor are multiples of it.

    Returns:
        The input, float32 `[N, H, W, 3]` with values 0..255, and the rescaled and padded tensor.

    Raises:
        ValueError: `input_size` is no pair of integers of at least 32.
    """
    if input_size is None:
        pixels = keras.Input((None, None, 3), name="image")
        return pixels, layers.Rescaling(1 / 128, offset=-1, name="grid")(pixels)
    if len(input_size) != 2:
        raise ValueError(f"input_size must be (height, width) or None, got {input_size}.")
    for side, length in zip(("height", "width"), input_size, strict=True):
        check_at_least(f"input_size's {side}", length, _SMALLEST, "pixels")
    pixels = keras.Input((*input_size, 3), name="image")
    x = layers.Rescaling(1 / 128, offset=-1, name="grid")(pixels)
    bottom, right = _missing(input_size, stride)
    if bottom or right:
        x = layers.ZeroPadding2D(((0, bottom), (0, right)), name="pad")(x)
    return pixels, x


def crop(x: keras.KerasTensor, input_size: Size | None, stride: int) -> keras.KerasTensor:
    """Cuts off what `image` has padded.

    Args:
        x: `[N, H', W', C]`, H' and W' being the padded sides.
        input_size: as given to `image`.
        stride: as given to `image`.

    Returns:
        `[N, H, W, C]`.
    """
    bottom, right = _missing(input_size, stride) if input_size else (0, 0)
    if bottom or right:
        x = layers.Cropping2D(((0, bottom), (0, right)), name="crop")(x)
    return x


def _missing(size: Size, stride: int) -> Size:
    """Rows and columns missing to the next multiple of the stride."""
    return -size[0] % stride, -size[1] % stride
