"""What a person should look at while a network trains: values that cannot go where they would."""

from __future__ import annotations

import re

import keras
import numpy as np

from tfquantseg.layers import clipped_statistics
from tfquantseg.optimizer import IntegerSGD

_STUCK = 0.1  # share of a kernel's weights at their limit from which on it is told


def hints(model: keras.Model, optimizer: IntegerSGD) -> list[str]:
    """Returns a line for each layer in which many values stood at a limit in the last step.

    A limit is constant for a run. Statistics of a batch norm are clipped at theirs. Weights stay at
    theirs: a layer that no batch norm follows, such as the one that scores the classes, then cannot
    make its output larger.

    Args:
        model: in training; layers in float32 have no limits.
        optimizer: that trains it.
    """
    lines = [
        f"{name}: mu or sigma of {share:.1%} of the channels is clipped at its limit."
        for name, share in clipped_statistics(model).items()
    ]
    shares = {path: monitors["at_limit"] for path, monitors in optimizer.monitors().items()}
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        share = shares.get(kernel.path, 0.0) if kernel is not None else 0.0
        if share < _STUCK:
            continue
        most = float(np.max(layer.W_limit))
        policy = re.sub(r" W_limit=\S+", "", layer.policy.name)
        lines.append(
            f"{layer.name}: {share:.0%} of the weights stand at their limit, at most {most:g}, and "
            "cannot grow. Another run can give them room: "
            f"--config.rules=\"(('{re.escape(layer.name)}', '{policy} W_limit={4 * most:g}'),)\""
        )
    return lines
