"""Whether images of a size fit a model, asked before anything is computed.

A model that halves its input k times and joins what it enlarges again with what it had before needs
sides that are multiples of its *stride* 2**k, unless it pads by itself.
"""

from __future__ import annotations

import keras
from ml_collections import ConfigDict

_STRIDES = (1, 2, 4, 8, 16, 32, 64, 128)


def check_training(model: keras.Model, config: ConfigDict) -> None:
    """Checks the size of the config's training batches.

    Raises:
        ValueError: See `check`.
    """
    multiple = config.data.multiple
    height, width = (side + -side % multiple for side in config.data.size)
    check(model, height, width)


def check(model: keras.Model, height: int, width: int) -> None:
    """Checks that a model returns logits of the size of its images.

    Args:
        model: Images [N, H, W, 3] to logits [N, H, W, classes].
        height: H, pixels, padding included.
        width: W, pixels, padding included.

    Raises:
        ValueError: It does not; names what sides it accepts.
    """
    if not fits(model, height, width):
        raise ValueError(
            f"{_refusal(model, height, width)} Change config.data.size, or set "
            "config.data.multiple, to which images are padded."
        )


def check_file(model: keras.Model, height: int, width: int) -> None:
    """Checks the size of a file's image, as a command has been given it.

    Args:
        model: Images [N, H, W, 3] to logits [N, H, W, classes].
        height: H, pixels.
        width: W, pixels.

    Raises:
        ValueError: The model does not take it; names the next `--size` that it takes.
    """
    if not fits(model, height, width):
        step = stride(model)
        higher, wider = (
            fixed or side + -side % (step or 1)
            for fixed, side in zip(model.input_shape[1:3], (height, width), strict=True)
        )
        advice = f" Give --size={higher},{wider}." if fits(model, higher, wider) else ""
        raise ValueError(f"{_refusal(model, height, width)}{advice}")


def stride(model: keras.Model) -> int | None:
    """The least power of two whose multiples a model accepts as sides.

    Sides for which the model was built have the one length that they have.

    Args:
        model: Images [N, H, W, 3] to logits [N, H, W, classes].

    Returns:
        1 to 128, or None where the model returns logits of another size than its images.
    """
    fixed = model.input_shape[1:3]
    for step in _STRIDES:
        # Three times a stride is a multiple of no larger one.
        height, width = (side or 3 * step for side in fixed)
        if fits(model, height, width):
            return step
    return None


def _refusal(model: keras.Model, height: int, width: int) -> str:
    fixed = model.input_shape[1:3]
    if None not in fixed:
        accepted = f"sides of {fixed[0]} x {fixed[1]}, as the model was built for"
    else:
        step = stride(model)
        accepted = f"sides that are multiples of {step}" if step else "other sides"
    return (
        f"Images of {height} x {width} pixels do not fit model {model.name!r}; accepted are "
        f"{accepted}."
    )


def fits(model: keras.Model, height: int, width: int) -> bool:
    """Whether a model returns logits of H x W pixels for images of H x W."""
    fixed = model.input_shape[1:3]
    if any(have not in (None, want) for have, want in zip(fixed, (height, width), strict=True)):
        return False
    try:
        returned = model.compute_output_shape((1, height, width, 3))
    except ValueError:  # Two feature maps of different size cannot be joined.
        return False
    return tuple(returned[1:3]) == (height, width)
