"""The three ways in which TensorFlow runs a function."""

from collections.abc import Callable

import tensorflow as tf

MODES: dict[str, Callable] = {
    "eager": lambda function: function,
    "graph": lambda function: tf.function(function, autograph=False),
    "xla": lambda function: tf.function(function, autograph=False, jit_compile=True),
}
