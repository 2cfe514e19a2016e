"""How convert freezes a run: where the steps of its activations come from, and fine-tuning at them.

The flags `--steps`, `--calibration` and `--finetune`.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING

from absl import flags

if TYPE_CHECKING:
    import keras
    from ml_collections import ConfigDict

    from tfquantseg.analysis.certificate_page import Frozen


def define(values: flags.FlagValues) -> None:
    """Defines the flags."""
    flags.DEFINE_enum(
        "steps",
        "running",
        ["running", "max", "percentile"],
        "Where the constant steps of the activations come from: the estimates that training kept, "
        "or the largest value, or the 99.99th percentile of all, that images of the training "
        "split give.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "calibration",
        32,
        "Images of the training split, evenly spread, for --steps=max and percentile.",
        1,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "finetune",
        0,
        "Training steps to add at the frozen steps, with the recipe's last learning rate.",
        0,
        flag_values=values,
    )


def check(values: flags.FlagValues) -> None:
    """Checks flags that belong together.

    Raises:
        ValueError: `--calibration` without a `--steps` that uses it.
    """
    if values["calibration"].present and values.steps == "running":
        raise ValueError(
            "--calibration is for --steps=max and --steps=percentile; --steps=running takes what "
            "training estimated. Leave it out, or choose one of them."
        )


def keeps_training(values: flags.FlagValues) -> bool:
    """Whether the model stays as training left it: neither its steps nor its weights change."""
    return bool(values.steps == "running" and not values.finetune)


def freeze_steps(
    values: flags.FlagValues, model: keras.Model, config: ConfigDict, done: int
) -> Frozen:
    """Makes the model's steps constants, as the flags say, and trains it on if they say so.

    Args:
        values: The parsed flags.
        model: The trained model; its scales, and with `--finetune` its weights, change.
        config: The run's config.
        done: Steps that the model has done.

    Returns:
        What was done, for the certificate.

    Raises:
        ValueError: The training split cannot be read.
        FloatingPointError: See `tfquantseg.training.fine_tuning.fine_tune`.
    """
    from tfquantseg.analysis.certificate_page import Frozen
    from tfquantseg.export.calibration import calibrate
    from tfquantseg.layers import hold_scales
    from tfquantseg.numerics import PERCENTILE
    from tfquantseg.training import parts
    from tfquantseg.training.bar import Count
    from tfquantseg.training.fine_tuning import fine_tune
    from tfquantseg.training.some_images import some_images

    frozen = Frozen(values.steps, done, config.steps, fine_tuned=values.finetune)
    scales: dict[str, float] = {}
    if values.steps != "running":
        data = parts.data(config, config.data.train)
        images = some_images(data, config, values.calibration)
        passes = 2 if values.steps == "percentile" else 1
        bar = Count(passes * len(images), "images measured", sys.stderr)
        scales = calibrate(model, images, values.steps, seen=bar.step)
        frozen = dataclasses.replace(
            frozen,
            split=f"{data.name} {data.split}",
            images=len(images),
            percentile=PERCENTILE if values.steps == "percentile" else None,
        )
    hold_scales(model, scales)
    if values.finetune:
        bar = Count(values.finetune, "steps of fine-tuning", sys.stderr)
        fine_tune(model, config, values.finetune, done=done, seen=bar.step)
    return frozen
