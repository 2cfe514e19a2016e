"""On what a benchmark ran: processor, threads, versions, and how busy the machine was."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

_PACKAGES = ("tensorflow", "keras", "ai-edge-litert")


def cores() -> int:
    """Returns the number of processors that this process may use."""
    return len(os.sched_getaffinity(0))


def load() -> float:
    """Returns how many processes ran or waited to run, mean over the last minute."""
    return os.getloadavg()[0]


def about(threads: int, load_before: float) -> dict[str, Any]:
    """Returns what the JSON says of the machine.

    Args:
        threads: that every variant might use.
        load_before: `load()` before the measuring.
    """
    return {
        "processor": _processor(),
        "cores": cores(),
        "threads": threads,
        "load_before": load_before,
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def _processor() -> str:
    """The processor's name, as the kernel tells it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
