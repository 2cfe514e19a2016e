"""The flags `--size` and `--logits`: what a file takes and returns."""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING

from absl import flags

if TYPE_CHECKING:
    import keras
    from ml_collections import ConfigDict

    from tfquantseg.data import SegmentationData
    from tfquantseg.export import Network


def define(values: flags.FlagValues) -> None:
    """Defines the flags."""
    define_size(values)
    flags.DEFINE_enum(
        "logits",
        "full",
        ["full", "stride", "argmax"],
        "Logits of the image's size; or as the network has them before its last resize, which is "
        "then the host's: smaller, and what an Edge TPU can run to its end; or, in their place, "
        "the class of each pixel.",
        flag_values=values,
    )


def define_size(values: flags.FlagValues) -> None:
    """Defines `--size` alone."""
    flags.DEFINE_list(
        "size",
        None,
        "Height and width of the file's image in pixels. Default: of a recipe that scales images "
        "(data.fit='resize') its data.size; of another that of the split's largest image, padded "
        "as evaluation pads it.",
        flag_values=values,
    )


def with_output(values: flags.FlagValues, network: Network) -> Network:
    """The network with the output that `--logits` asks for.

    Raises:
        ValueError: It does not end in a resize, its logits have not the image's size, or it has
            several images or outputs, which commands don't take.
    """
    from tfquantseg.export import at_stride, with_argmax

    if len(network.images) > 1 or len(network.outputs) > 1:
        raise ValueError(
            f"{network.name!r} has {len(network.images)} input(s) and {len(network.outputs)} "
            "output(s); commands take a model of one image and its logits. In Python "
            "tfquantseg.export takes any number: freeze, write_tflite and certify, as "
            "docs/deployment.md shows."
        )
    if values.logits == "stride":
        return at_stride(network)
    return with_argmax(network) if values.logits == "argmax" else network


def again_at_stride(values: flags.FlagValues) -> str:
    """The flags that were given, as they can be typed again, with `--logits=stride`."""
    given = [values[name] for name in values if name != "logits"]
    same = [flag.serialize() for flag in given if flag.present]
    return shlex.join([*same, "--logits=stride"])


def size_of(
    values: flags.FlagValues, model: keras.Model, config: ConfigDict, data: SegmentationData
) -> tuple[int, int]:
    """Height and width that were given, or that hold every image of a split.

    Args:
        values: The parsed flags.
        model: Images to logits.
        config: The run's config.
        data: The split.

    Raises:
        ValueError: `--size` is no size, or one that the model does not take.
    """
    from tfquantseg.training import sizes

    if values.size:
        if len(values.size) != 2 or not all(side.isdecimal() for side in values.size):
            raise ValueError(
                f"--size is {','.join(values.size)!r}; accepted are height and width in pixels, as "
                "in 192,256."
            )
        height, width = map(int, values.size)
    else:
        multiple = math.lcm(sizes.stride(model) or 1, config.data.multiple)
        height, width = (side + -side % multiple for side in _largest(config, data))
    sizes.check_file(model, height, width)
    return height, width


def _largest(config: ConfigDict, data: SegmentationData) -> tuple[int, int]:
    """Height and width that hold every image of a split."""
    if config.data.fit == "resize":
        height, width = config.data.size
        return height, width
    shapes = [data.read(index).label.shape for index in range(len(data))]
    return max(shape[0] for shape in shapes), max(shape[1] for shape in shapes)
