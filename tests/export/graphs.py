"""Graphs made by hand, and the op lists of Coral's models, as `Graph` values."""

import itertools
import json
import pathlib
from typing import Any

from tfquantseg.export.graph_file import Graph, Operator, Tensor

_indices = itertools.count()


def tensor(*shape: int, type: str = "INT8", constant: bool = False, values: Any = None) -> Tensor:
    """A tensor of an index of its own."""
    return Tensor(
        index=next(_indices),
        shape=shape,
        type=type,
        constant=constant or values is not None,
        values=values,
    )


def constant(*values: int) -> Tensor:
    """An INT32 constant that holds `values`."""
    return tensor(len(values), type="INT32", values=values)


def operator(
    op: str, inputs: list[Tensor], output: Tensor, *, version: int = 1, **options: Any
) -> Operator:
    """An operator of one output."""
    return Operator(
        op=op, version=version, inputs=tuple(inputs), outputs=(output,), options=options
    )


def graph(*operators: Operator, min_runtime_version: str = "") -> Graph:
    """A graph that reads what no operator writes, and hands out what none reads."""
    read = {t.index: t for op in operators for t in op.activations}
    written = {t.index: t for op in operators for t in op.outputs}
    return Graph(
        name="made.tflite",
        inputs=tuple(t for index, t in read.items() if index not in written),
        outputs=tuple(t for index, t in written.items() if index not in read),
        operators=operators,
        min_runtime_version=min_runtime_version,
    )


def of_list(path: pathlib.Path) -> Graph:
    """Reads an op list, JSON of the same facts."""
    listed = json.loads(path.read_text())

    def tensors(entries: list[dict[str, Any]]) -> tuple[Tensor, ...]:
        return tuple(
            Tensor(
                index=entry["id"],
                shape=tuple(entry["shape"]),
                type=entry["type"],
                constant=entry["constant"],
            )
            for entry in entries
        )

    return Graph(
        name=listed["file"],
        inputs=tensors(listed["inputs"]),
        outputs=tensors(listed["outputs"]),
        operators=tuple(
            Operator(
                op=entry["op"],
                version=entry["version"],
                inputs=tensors(entry["inputs"]),
                outputs=tensors(entry["outputs"]),
                options=entry["options"],
            )
            for entry in listed["operators"]
        ),
    )
