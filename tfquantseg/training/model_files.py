"""Models that somebody saved: a `.keras` file, and whether it holds a segmentation network.

A *segmentation network* takes images [N, H, W, 3], RGB values 0..255, and returns logits
[N, H, W, C], C classes; the class of a pixel is that of its largest logit, so that probabilities
will do as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeGuard

import keras

# Both register the layers that a file may hold.
import tfquantseg.layers
import tfquantseg.models  # noqa: F401
from tfquantseg.training.checkpoints import DAMAGE, check_archive

_MOST_CLASSES = 256  # labels are bytes


def load(path: Path) -> keras.Model:
    """Loads a segmentation network that `model.save("NAME.keras")` has saved.

    Raises:
        ValueError: There is no such file, it is none of these, it is damaged, it holds layers that
            are not known here, or the model is no segmentation network.
    """
    if path.is_dir():
        raise ValueError(
            f"{path} is a folder; accepted as --model is a .keras file. Give a work directory as "
            "--workdir."
        )
    if not path.is_file():
        raise ValueError(f"There is no model {path.absolute()}; give a .keras file.")
    if path.suffix != ".keras":
        raise ValueError(
            f"{path} has the ending {path.suffix!r}; accepted is .keras, a file that "
            "model.save('NAME.keras') wrote."
        )
    try:
        check_archive(path)
        model = keras.saving.load_model(path, compile=False)
    except (*DAMAGE, TypeError) as error:
        # Around its first sentence, Keras gives advice to programmers and whole configs.
        reason = str(error).rpartition("Exception encountered: ")[2].split(". ")[0].rstrip(".")
        raise ValueError(
            f"{path} cannot be loaded: {reason}. Accepted is a whole .keras file of a model of "
            "Keras' own layers and of tfquantseg's."
        ) from error
    try:
        check_segments(model)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return model


def check_segments(model: keras.Model) -> None:
    """Checks that a model is a segmentation network, by the shapes of its input and output.

    Raises:
        ValueError: It is none; names what it takes or returns.
    """
    # A model of several inputs or outputs has a list or dict of shapes, an unbuilt one has none.
    image, logits = (getattr(model, name, None) for name in ("input_shape", "output_shape"))
    if not _is_shape(image) or image[0] not in (None, 1) or image[3] != 3:
        raise ValueError(
            f"Model {model.name!r} takes {_shown(image)}; accepted is one input [N, H, W, 3], "
            "images in RGB with values 0..255, of any N or 1."
        )
    if not _is_shape(logits):
        raise ValueError(
            f"Model {model.name!r} returns {_shown(logits)}; accepted is one output [N, H, W, C], "
            "the logits of C classes for each pixel."
        )
    if not 2 <= (logits[3] or 0) <= _MOST_CLASSES:
        hint = (
            " One channel tells two classes apart by its sign: concatenate zeros before it."
            if logits[3] == 1
            else ""
        )
        raise ValueError(
            f"Model {model.name!r} returns {_shown(logits)}; accepted are [N, H, W, C] with C from "
            f"2 to {_MOST_CLASSES} classes.{hint}"
        )


def _is_shape(shape: object) -> TypeGuard[tuple[int | None, ...]]:
    return isinstance(shape, tuple) and len(shape) == 4


def _shown(shape: object) -> str:
    """Shapes as they are written in messages, their unknown sides as `?`."""
    if isinstance(shape, dict):
        return " and ".join(_shown(one) for one in shape.values())
    if isinstance(shape, list):
        return " and ".join(map(_shown, shape))
    if isinstance(shape, tuple):
        return f"[{', '.join('?' if side is None else str(side) for side in shape)}]"
    return "what is known only once it is called"
