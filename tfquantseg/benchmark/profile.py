"""What a training step of ours spends its time on, from TensorFlow's own profiler.

The profiler tells each op's name and duration; what an op is for, the traceback tells that its
graph keeps: which of our functions it was made in. That holds for own ops and TensorFlow's alike.
Ops run beside one another where a step has several threads for that, so that the seconds of all ops
may be more than those of the step.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

KINDS = (
    "forward product",
    "input gradient",
    "weight gradient",
    "encoding of E",
    "encoding of A",
    "encoding of W",
    "batch norm",
    "update",
    "loss and confusion",
    "other",
)
"""What ops are for. Rescaling, bias and activation count to the forward product."""

_STEPS = 3  # that are profiled
_EVENT = re.compile(r"([\w.][\w./>-]*):(\w+)")
_CALLS = re.compile(
    r"(Stateful)?PartitionedCall|(Stateless)?(While|If|Case)"
)  # of ops of their own
_PACKAGE = "tfquantseg/"

# The first row that fits any of the functions within which an op was made says what it is for.
_ROWS: tuple[tuple[str, str, str], ...] = (
    ("optimizer.py", "", "update"),
    ("numerics/products.py", "output", "forward product"),
    ("numerics/products.py", "input_gradient", "input gradient"),
    ("numerics/products.py", "weight_gradient", "weight gradient"),
    ("numerics/errors.py", "encode_error", "encoding of E"),
    ("numerics/errors.py", "encode_error_pair", "encoding of E"),
    ("numerics/convolutions.py", "_encode", "encoding of E"),
    ("layers/batch_norm.py", "", "batch norm"),
    ("numerics/batch_norm.py", "", "batch norm"),
    ("layers/convolutions.py", "_encode_kernel", "encoding of W"),
    ("numerics/products.py", "operand", "encoding of A"),  # And of W, to int8: a small part.
    ("layers/edge.py", "", "encoding of A"),
    ("losses.py", "", "loss and confusion"),
    ("training/step.py", "_confusion", "loss and confusion"),
)


def seconds_by_kind(step: Callable[[], object], graph: tf.Graph) -> dict[str, float]:
    """Returns the seconds of a step's ops, by what they are for.

    Args:
        step: does one step; has done some before.
        graph: of which the step is made.

    Returns:
        By each of `KINDS`, the mean of a few steps.
    """
    kinds = kinds_of(graph)
    seconds = dict.fromkeys(KINDS, 0.0)
    for name, spent in _profiled(step).items():
        seconds[kinds.get(name, "other")] += spent
    return seconds


def kinds_of(graph: tf.Graph) -> dict[str, str]:
    """Returns what each of a graph's ops is for, by its name."""
    kinds: dict[str, str] = {}
    scopes: dict[str, set[str]] = {}
    for operation in graph.get_operations():
        kind = _by_traceback(operation)
        _, is_gradient, of = operation.name.partition("gradient_tape/")
        if kind is None and is_gradient:
            kind = _of_gradient(of, scopes)
        kinds[operation.name] = kind or "other"
        for scope in _upwards(operation.name):
            scopes.setdefault(scope, set()).add(kinds[operation.name])
    return kinds


def _by_traceback(operation: tf.Operation) -> str | None:
    places = [
        (frame.filename.rpartition(_PACKAGE)[2], frame.name)
        for frame in operation.traceback
        if _PACKAGE in frame.filename
    ]
    for file, function, kind in _ROWS:
        if any(place[0] == file and function in ("", place[1]) for place in places):
            return kind
    return None


def _of_gradient(name: str, scopes: Mapping[str, set[str]]) -> str | None:
    """Returns what an op is for that TensorFlow made and called gradient_tape/NAME.

    NAME is that of the op, or of the scope, whose gradient it is, and more behind that.
    """
    known = next((scope for scope in _upwards(name) if scope in scopes), None)
    return next(iter(scopes[known])) if known and len(scopes[known]) == 1 else None


def _upwards(name: str) -> list[str]:
    """Returns a/b/c, a/b and a of a/b/c."""
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _profiled(step: Callable[[], object]) -> dict[str, float]:
    """Returns the seconds that each op takes in a step, by its name."""
    options = tf.profiler.experimental.ProfilerOptions(
        host_tracer_level=2, python_tracer_level=0, device_tracer_level=0
    )
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder, options)
        try:
            for _ in range(_STEPS):
                step()
        finally:
            tf.profiler.experimental.stop()
        (file,) = Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    seconds: dict[str, float] = {}
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                found = _EVENT.fullmatch(plane.event_metadata[event.metadata_id].name)
                if found and not _CALLS.fullmatch(found[2]):
                    spent = event.duration_ps * 1e-12 / _STEPS
                    seconds[found[1]] = seconds.get(found[1], 0.0) + spent
    return seconds
