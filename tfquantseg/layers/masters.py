"""How files keep master weights: the integers of their grid, of three bytes each, in place of four.

Keras writes what a layer owns into `.keras` and `.weights.h5` files through two methods of the
layer. Those of ours pack each variable that the optimizer keeps on a grid (its ``update_rule``),
and read what is packed and what is not: files of other versions, and values that left the grid
because another optimizer moved them, are float32.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any

import keras
import numpy as np

from tfquantseg.numerics import pack, unpack


class PackedMasters(keras.layers.Layer):
    """A layer whose master weights lie packed in files, and come back bit for bit."""

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Writes the layer's variables, masters packed, where Keras asks for them."""
        for key, variable in self._by_key().items():
            value = keras.ops.convert_to_numpy(variable)
            rule = getattr(variable, "update_rule", None)
            packed = None if rule is None else pack(value, rule.U)
            store[key] = value if packed is None else packed

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Reads what `save_own_variables` wrote, or Keras' own method."""
        variables = self._by_key()
        read = {}
        for key in store.keys():  # noqa: SIM118 - the stores of Keras iterate over nothing else
            value = np.asarray(store[key])
            rule = getattr(variables.get(key), "update_rule", None)
            if rule is not None and value.dtype == np.uint8:
                value = unpack(value, rule.U)
            read[key] = value
        super().load_own_variables(read)

    def _by_key(self) -> dict[str, Any]:
        """The layer's variables by the names that Keras gives them in a file."""
        variables: dict[str, Any] = {}
        super().save_own_variables(variables)
        return variables
