"""Runs a function of a test in a fresh process whose CPU is split into two logical devices.

TensorFlow splits a CPU before it is first used only, which a process of tests may have done.
"""

import concurrent.futures
import multiprocessing
from collections.abc import Callable
from typing import Any

import tensorflow as tf

DEVICES = ("CPU:0", "CPU:1")


def on_two_devices(function: Callable[..., Any], *arguments: Any) -> Any:
    """Returns function(*arguments) as computed there.

    Args:
        function: a function of a module, which receives what can be pickled.
        *arguments: what can be pickled.
    """
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context, initializer=_split) as pool:
        return pool.submit(function, *arguments).result()


def _split() -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    half = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [half, half])
