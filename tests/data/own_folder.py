"""A folder of images and masks as a user lays it out."""

import pathlib

import numpy as np
from PIL import Image

LABELS = np.array([[0, 1, 255, 0], [1, 1, 0, 0], [0, 2, 2, 0]], np.uint8)
CLASSES = "background\nroad\ntraffic light\n"


def make(
    folder: pathlib.Path,
    names: tuple[str, ...] = ("a", "b", "c", "d", "e"),
    classes: str | None = CLASSES,
    labels: np.ndarray = LABELS,
) -> pathlib.Path:
    """Writes images/ and masks/; image k is filled with k.

    Args:
        folder: Where to; made if it does not exist.
        names: Of images and masks, without their ending.
        classes: What classes.txt says; None writes none.
        labels: Every mask.

    Returns:
        `folder`.
    """
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for number, name in enumerate(names):
        image = np.full((*labels.shape[:2], 3), number, np.uint8)
        Image.fromarray(image).save(folder / "images" / f"{name}.png")
        Image.fromarray(labels).save(folder / "masks" / f"{name}.png")
    if classes is not None:
        (folder / "classes.txt").write_text(classes)
    return folder
