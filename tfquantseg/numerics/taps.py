"""Taps: names in the graph under which audit and analysis find pairs. They compute nothing."""

import tensorflow as tf

from tfquantseg.numerics.grids import Quantized


def tap(pair: Quantized, owner: str, letter: str) -> Quantized:
    """Returns the pair under the names owner/letter/integers and owner/letter/step.

    Args:
        pair: any pair.
        owner: the layer's name or the variable's path.
        letter: the paper's letter of the object: A, W, E1, E2, G or U.

    Returns:
        The same values; inside a graph the two tensors carry the names.
    """
    with tf.name_scope(f"{owner}/{letter}"):
        return Quantized(
            tf.identity(pair.integers, name="integers"), tf.identity(pair.step, name="step")
        )
