"""Finds the library of own ops, and says whether the code at hand may use it."""

from __future__ import annotations

import contextlib
import pathlib
import re
import threading
from collections.abc import Iterator
from types import ModuleType

import tensorflow as tf
from tensorflow.python.ops import control_flow_util

_FILE = pathlib.Path(__file__).with_name("_kernels.so")
_BUILT_FOR = re.compile(rb"tfquantseg kernels for TensorFlow ([^;]*);")
_NEEDED = "avx512_vnni"
_COMPILE = "`python -m tfquantseg.kernels.compile` compiles it"


def ops() -> ModuleType | None:
    """Returns the own ops that the code now running or being traced may use, None for stock ops.

    `tfquantseg_conv` and so on are functions of the module. A custom gradient is traced later and
    elsewhere: ask once, in the forward code, and keep the answer for the backward code.
    """
    return None if why_not() else _load()[0]


def why_not() -> str:
    """Returns in one sentence why `ops` is None, "" where it is not."""
    if _stock_depth:
        return "Stock ops were asked for with kernels.stock()."
    if in_xla():
        return "XLA compiles this code, and it knows TensorFlow's ops only."
    if tf.config.get_visible_devices("GPU"):
        return "TensorFlow uses a GPU, and the own ops run on CPUs."
    return _load()[1]


def in_xla() -> bool:
    """Whether the code now being traced will be compiled by XLA: `tf.function(jit_compile=True)`.

    The gradient of such a function, taken outside of it, is traced outside of it, where this is
    False, and compiled by XLA nevertheless.
    """
    # Not public: TensorFlow enters an XLAControlFlowContext while it traces such a function.
    graph = tf.compat.v1.get_default_graph()
    return not tf.executing_eagerly() and control_flow_util.GraphOrParentsInXlaContext(graph)


@contextlib.contextmanager
def stock() -> Iterator[None]:
    """Within it, what runs or is traced uses TensorFlow's ops only, in every thread.

    What was traced before keeps its ops.
    """
    global _stock_depth
    with _lock:
        _stock_depth += 1
    try:
        yield
    finally:
        with _lock:
            _stock_depth -= 1


# One count for all threads: a tf.distribute strategy traces in threads of its own.
_stock_depth = 0
_lock = threading.Lock()
_loaded: tuple[ModuleType | None, str] | None = None


def _load() -> tuple[ModuleType | None, str]:
    """Returns the ops and "", or None and the reason; looks only once."""
    global _loaded
    with _lock:
        if _loaded is None:
            _loaded = load_file(_FILE)
    return _loaded


def load_file(file: pathlib.Path) -> tuple[ModuleType | None, str]:
    """Loads a library of own ops.

    Args:
        file: The library.

    Returns:
        (its ops, ""), or (None, one sentence that says why they cannot be used here).
    """
    if not file.is_file():
        return None, f"The library of own ops is not here; {_COMPILE}."
    found = _BUILT_FOR.search(file.read_bytes())
    if not found:
        return None, f"{file} is no library of own ops; {_COMPILE} anew."
    if (built_for := found[1].decode()) != tf.__version__:
        return None, (
            f"The library of own ops was compiled for TensorFlow {built_for}, and this is "
            f"{tf.__version__}; {_COMPILE} anew."
        )
    try:
        module = tf.load_op_library(str(file))
    except (tf.errors.OpError, OSError) as error:
        return None, f"TensorFlow cannot load the library of own ops ({error}); {_COMPILE} anew."
    with tf.init_scope(), tf.device("CPU:0"):
        offered = module.tfquantseg_processor().numpy().decode()
    if offered != _NEEDED:
        return None, "The CPU has no AVX-512 VNNI, for which the own ops are written."
    return module, ""
