"""The side of a worker: a process that repeats one thing whenever it is told to.

Questions come as lines of JSON on stdin, answers go as lines of JSON to stdout:

    {"do": "build", "with": {...}}    {}
    {"do": "steps", "count": 3}       {"seconds": [..., ..., ...], "cpu_seconds": ..., "value": ...}
    {"do": "memory"}                  {"memory_bytes": ...}
    {"do": "profile"}                 {"profile": {...}}

A question may name the thing that it is about, with "of": one process can have several. It ends
when stdin does. It needs Python's own modules only, for the peers' interpreter runs it too.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Step = Callable[[], float]


def serve(
    build: Callable[..., Step], profile: Callable[[Step], dict[str, float]] | None = None
) -> None:
    """Answers until there are no more questions.

    Args:
        build: makes what is to be repeated, from the question's arguments. The repeated function
            returns a number that shows whether it did its work: a loss, or 0.
        profile: tells of the repeated function what takes how many seconds; None where nobody can.
    """
    # Memory counts from here: the importing is over, and is no part of what is measured.
    before = peak_bytes()
    # What libraries print must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    steps: dict[str, Step] = {}
    for line in sys.stdin:
        question = json.loads(line)
        answer: dict[str, Any] = {}
        of = question.get("of", "")
        if question["do"] == "build":
            steps.pop(of, None)  # Its memory is free before the next is built.
            steps[of] = build(**question["with"])
        elif question["do"] == "memory":
            answer = {"memory_bytes": peak_bytes() - before}
        elif question["do"] == "profile":
            answer = {"profile": profile(steps[of]) if profile else {}}
        else:
            answer = repeated(steps[of], question["count"])
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
