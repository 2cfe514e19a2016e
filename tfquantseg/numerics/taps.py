"""Taps: names in the graph under which audit and monitors find pairs. They compute nothing."""

import re
from contextlib import AbstractContextManager

import tensorflow as tf

from tfquantseg.numerics.grids import Quantized

POINT = r"(?:\.(?=[^A-Za-z0-9.]))?"
"""A regular expression of what `scope` puts in front of a layer's name, if anything."""

_ROUNDING = re.compile(rf"(?:^|/){POINT}([^/]+)/(A|E1|E2)/rounding(?:_\d+)?/(value|integers)$")


def scope(owner: str, below: str) -> AbstractContextManager[str]:
    """Returns the scope owner/below of names in a graph.

    TensorFlow lets no outermost name begin with "_", which Keras accepts of a layer; there the
    scope begins with a point.

    Args:
        owner: the layer's name or the variable's path.
        below: what follows it.
    """
    point = "" if re.match("[A-Za-z0-9.]", owner) else "."
    return tf.name_scope(f"{point}{owner}/{below}")


def tap(pair: Quantized, owner: str, letter: str) -> Quantized:
    """Returns the pair under the names owner/letter/integers and owner/letter/step.

    Args:
        pair: any pair.
        owner: the layer's name or the variable's path.
        letter: the paper's letter of the object: A, W, E1, E2, G or U.

    Returns:
        The same values; inside a graph the two tensors carry the names.
    """
    with scope(owner, letter):
        return Quantized(
            tf.identity(pair.integers, name="integers"), tf.identity(pair.step, name="step")
        )


def tap_rounding(value: tf.Tensor, pair: Quantized, owner: str, letter: str) -> Quantized:
    """Returns the pair, tapped together with the value of which it was made.

    Args:
        value: float32 tensor, before it was quantized.
        pair: what it became.
        owner: the layer's name.
        letter: A, E1 or E2.

    Returns:
        The same pair; inside a graph owner/letter/rounding/value and .../integers are names.
    """
    with scope(owner, f"{letter}/rounding"):
        tf.identity(value, name="value")  # Runs only where somebody reads it.
        return Quantized(tf.identity(pair.integers, name="integers"), pair.step)


def tapped_roundings(graph: tf.Graph) -> list[tuple[str, str, tf.Tensor, tf.Tensor]]:
    """Returns (owner, letter, value, integers) of all that `tap_rounding` has named in a graph."""
    ends: dict[tuple[str, str, str], dict[str, tf.Tensor]] = {}
    for operation in graph.get_operations():
        found = _ROUNDING.search(operation.name)
        if found and operation.type == "Identity":
            scope = operation.name.rpartition("/")[0]
            ends.setdefault((found[1], found[2], scope), {})[found[3]] = operation.outputs[0]
    return [
        (owner, letter, pair["value"], pair["integers"])
        for (owner, letter, _), pair in ends.items()
    ]
