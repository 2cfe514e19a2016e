"""One tf.data pipeline for every data set, training and evaluation.

Every choice is drawn from (seed, epoch) for the order and from (seed, epoch, index) for the
augmentation of example `index`. Nothing depends on thread timing, on what was read before or on
where the epoch was entered: the same arguments give the same bytes, and `start_step=k` gives what
an uninterrupted epoch gives from step k on.

Pixels stay whole numbers 0..255 from the file to the batch, resizing and padding included, so that
an image enters a network on its integer grid.
"""

from __future__ import annotations

import os
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from PIL import Image

from tfquantseg.data.decoding import DECODING
from tfquantseg.data.segmentation import Bytes, Pair, SegmentationData

MID_GREY = 128
"""Image value of padding: zero after a model's (u - 128) / 128."""

# First word of a random key: draws for one purpose never repeat those for another.
_ORDER, _AUGMENTATION = 0, 1


def steps_per_epoch(examples: int, batch: int) -> int:
    """Number of training batches an epoch: whole batches only, floor(examples / batch).

    Args:
        examples: Number of examples, `len(data)`.
        batch: Examples a batch.

    Returns:
        Batches an epoch, from 1.

    Raises:
        ValueError: There are fewer examples than a batch needs.
    """
    if not 1 <= batch <= examples:
        raise ValueError(
            f"Batch {batch} does not fit {examples} examples; accepted are 1..{examples}. Give a "
            "smaller batch, or more examples."
        )
    return examples // batch


def batches(
    data: SegmentationData,
    *,
    batch: int,
    training: bool,
    size: tuple[int, int] | None = None,
    fit: Literal["crop", "resize"] = "crop",
    flip: bool = False,
    multiple: int = 1,
    seed: int = 0,
    epoch: int = 0,
    start_step: int = 0,
) -> tf.data.Dataset:
    """One epoch of batches.

    Training shuffles by (seed, epoch), augments and drops the last, partial batch, so that each
    batch has one static size. Evaluation keeps the order of `data` and every example, neither
    crops nor flips, and pads the images of a batch to the largest of them.

    Padding is at the bottom and the right: mid-grey (128) in the image, the ignore label in the
    label map. Cropping a prediction to `[:H, :W]` undoes it.

    Examples are decoded in Python, ahead of their turn, until Python ends.

    Args:
        data: What to read.
        batch: Examples a batch, over all replicas.
        training: Training or evaluation, as above.
        size: Height and width for `fit`. Training needs it, so that a batch has one size; in
            evaluation None keeps each image's own.
        fit: `"resize"`: to `size`, in training and evaluation; images bilinear and antialiased,
            labels nearest. `"crop"`: in training a random window of `size`, images that are
            smaller padded first; evaluation sees the whole image.
        flip: Mirror left and right, each example with probability 1/2. Training only.
        multiple: Pad height and width to a multiple of this.
        seed: Of the order and the augmentation; from 0.
        epoch: Number of the epoch, from 0.
        start_step: Leave out this many batches, without decoding them.

    Returns:
        A data set of (images float32 [N, H, W, 3], whole numbers 0..255; labels int32 [N, H, W]
        with `data.ignore_label`).

    Raises:
        ValueError: An argument is out of its range. An example that cannot be read raises
            `tf.errors.InvalidArgumentError` with the text of its ValueError while iterating.
    """
    if fit not in ("crop", "resize"):
        raise ValueError(f"fit={fit!r} is not known; accepted are 'crop' and 'resize'.")
    sides = [] if size is None else list(size)
    if (training and size is None) or (sides and not _is_size(sides)):
        where = "training" if training else "evaluation"
        raise ValueError(
            f"size={size} is not accepted in {where}; give (height, width), integers from 1."
        )
    for name, value, least in (
        ("batch", batch, 1),
        ("multiple", multiple, 1),
        ("seed", seed, 0),
        ("epoch", epoch, 0),
    ):
        if not _is_integer(value, least):
            raise ValueError(f"{name}={value} is not accepted; give an integer from {least}.")
    steps = steps_per_epoch(len(data), batch) if training else -(-len(data) // batch)
    if not 0 <= start_step <= steps:
        raise ValueError(
            f"start_step={start_step} is not accepted; the epoch has {steps} steps, 0..{steps}."
        )

    def example(index: np.int64) -> Pair:
        with DECODING.call():
            return augmented(index)

    def augmented(index: np.int64) -> Pair:
        pair = data.read(int(index))
        random = _random(_AUGMENTATION, seed, epoch, index)
        if size is not None and fit == "resize":
            pair = Pair(resize_image(pair.image, size), resize_labels(pair.label, size))
        elif size is not None and training:
            pair = _crop(pair, size, data.ignore_label, random)
        if flip and training and random.integers(2):
            pair = Pair(pair.image[:, ::-1], pair.label[:, ::-1])
        height, width = pair.label.shape
        return _pad(pair, -height % multiple, -width % multiple, data.ignore_label)

    def decode(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, label = tf.numpy_function(example, [index], [tf.uint8, tf.uint8])
        shape: list[int | None] = [None, None]
        if size is not None and (training or fit == "resize"):
            shape = [side + -side % multiple for side in size]
        return tf.ensure_shape(image, [*shape, 3]), tf.ensure_shape(label, shape)

    order = np.arange(len(data))
    if training:
        order = _random(_ORDER, seed, epoch, 0).permutation(len(data))[: steps * batch]
    examples = tf.data.Dataset.from_tensor_slices(order[start_step * batch :]).map(
        decode, num_parallel_calls=data.threads or os.cpu_count(), deterministic=True
    )
    if training:
        grouped = examples.batch(batch, drop_remainder=True)
    else:
        padding = tuple(np.uint8(value) for value in (MID_GREY, data.ignore_label))
        grouped = examples.padded_batch(batch, padding_values=padding)
    numbers = grouped.map(
        lambda images, labels: (tf.cast(images, tf.float32), tf.cast(labels, tf.int32))
    )
    # TensorFlow's tuner of pipelines is a thread that an iterator waits for when it is deleted, and
    # it can miss that it shall end: every few epochs it slept on for up to a minute (TF 2.21).
    options = tf.data.Options()
    options.autotune.enabled = False
    return numbers.prefetch(2).with_options(options)


def _is_integer(value: Any, least: int) -> bool:
    integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return integer and bool(value >= least)


def _is_size(sides: list[int]) -> bool:
    return len(sides) == 2 and all(_is_integer(side, 1) for side in sides)


def _random(purpose: int, seed: int, epoch: int, index: int | np.int64) -> np.random.Generator:
    # A key of fixed length: SeedSequence does not tell (1, 2) from (1, 2, 0).
    key = np.random.SeedSequence((purpose, seed, epoch, int(index)))
    return np.random.Generator(np.random.Philox(key))


def _crop(pair: Pair, size: tuple[int, int], ignore: int, rng: np.random.Generator) -> Pair:
    """A random window of `size`; sides that are too short are padded first."""
    height, width = pair.label.shape
    pair = _pad(pair, max(size[0] - height, 0), max(size[1] - width, 0), ignore)
    height, width = pair.label.shape
    top, left = rng.integers(height - size[0] + 1), rng.integers(width - size[1] + 1)
    window = np.s_[top : top + size[0], left : left + size[1]]
    return Pair(pair.image[window], pair.label[window])


def resize_image(image: Bytes, size: tuple[int, int]) -> Bytes:
    """Scales an image, bilinear and antialiased.

    Args:
        image: uint8 [h, w, 3].
        size: Height and width wanted.

    Returns:
        uint8 [H, W, 3].
    """
    return _resampled(image, size, Image.Resampling.BILINEAR)


def resize_labels(label: Bytes, size: tuple[int, int]) -> Bytes:
    """Scales a label map: each pixel takes the nearest label.

    Args:
        label: uint8 [h, w].
        size: Height and width wanted.

    Returns:
        uint8 [H, W].
    """
    return _resampled(label, size, Image.Resampling.NEAREST)


def _resampled(array: Bytes, size: tuple[int, int], resampling: Image.Resampling) -> Bytes:
    if array.shape[:2] == tuple(size):
        return array
    width_first = (size[1], size[0])  # as Pillow counts
    return np.asarray(Image.fromarray(array).resize(width_first, resampling))


def _pad(pair: Pair, bottom: int, right: int, ignore: int) -> Pair:
    if not bottom and not right:
        return pair

    def fill(array: Bytes, value: int) -> Bytes:
        widths = [(0, bottom), (0, right)] + [(0, 0)] * (array.ndim - 2)
        return np.pad(array, widths, constant_values=value)

    return Pair(fill(pair.image, MID_GREY), fill(pair.label, ignore))
