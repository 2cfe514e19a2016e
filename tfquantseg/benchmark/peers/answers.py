"""The side of a worker: a process that repeats one thing whenever it is told to.

Questions come as lines of JSON on stdin, answers go as lines of JSON to stdout:

    {"do": "build", "with": {...}}    {}
    {"do": "steps", "count": 3}       {"seconds": [..., ..., ...], "cpu_seconds": ..., "value": ...}
    {"do": "memory"}                  {"memory_bytes": ...}

It ends when stdin does. It needs Python's own modules only, for the peers' interpreter runs it too.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Step = Callable[[], float]


def serve(build: Callable[..., Step]) -> None:
    """Answers until there are no more questions.

    Args:
        build: makes what is to be repeated, from the question's arguments. The repeated function
            returns a number that shows whether it did its work: a loss, or 0.
    """
    # Memory counts from here: the importing is over, and is no part of what is measured.
    before = peak_bytes()
    # What libraries print must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    step: Step | None = None
    for line in sys.stdin:
        question = json.loads(line)
        answer: dict[str, Any] = {}
        if question["do"] == "build":
            step = build(**question["with"])
        elif question["do"] == "memory":
            answer = {"memory_bytes": peak_bytes() - before}
        elif step is not None:
            answer = repeated(step, question["count"])
        answers.write(f"{json.dumps(answer)}\n")
        answers.flush()


def repeated(step: Step, count: int) -> dict[str, Any]:
    """Returns the wall time of each of `count` steps, the processor time of all, the last value."""
    seconds, value = [], 0.0
    processor = time.process_time()
    for _ in range(count):
        start = time.perf_counter()
        value = step()
        seconds.append(time.perf_counter() - start)
    return {
        "seconds": seconds,
        "cpu_seconds": time.process_time() - processor,
        "value": value,
    }


def peak_bytes() -> int:
    """Returns the most memory that this process has had resident.

    It is the kernel's VmHWM. getrusage would count what the parent had when it forked.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no VmHWM; memory is measured on Linux only.")
