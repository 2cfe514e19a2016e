"""What a `.tflite` file holds, as small frozen values: tensors, operators, the runtime it asks for.

The file is read with the flatbuffer classes that TensorFlow generates from its schema. Operators
and types are called what the schema calls them: `CONV_2D`, `INT8`.
"""

import contextlib
import dataclasses
import functools
import math
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfquantseg.export.aligned import IDENTIFIER

MIN_RUNTIME_VERSION = "min_runtime_version"
"""Name of the metadata in which the converter says what runtime a file needs."""

_MOST_VALUES = 16
_BITS = {
    "BOOL": 8,
    "BFLOAT16": 16,
    "COMPLEX64": 64,
    "COMPLEX128": 128,
    "FLOAT16": 16,
    "FLOAT32": 32,
    "FLOAT64": 64,
    "INT2": 2,
    "INT4": 4,
    "INT8": 8,
    "INT16": 16,
    "INT32": 32,
    "INT64": 64,
    "UINT4": 4,
    "UINT8": 8,
    "UINT16": 16,
    "UINT32": 32,
    "UINT64": 64,
}
_INTEGERS = {"INT32": "<i4", "INT64": "<i8"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantization:
    """How integers stand for numbers: scale * (integer - zero_point).

    Attributes:
        scales: one, or one for each index of ``axis``.
        zero_points: as many.
        axis: the dimension that has a scale of its own for each index, if there are many.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tensor:
    """One tensor.

    Attributes:
        index: its place in the file; two tensors of a graph never share it.
        name: what the converter called it.
        shape: its sizes; -1 where the file leaves one open.
        type: the schema's name of what it holds, such as ``INT8``.
        constant: whether the file holds its values.
        quantization: None if its integers stand for themselves.
        values: what a constant of at most 16 INT32 or INT64 holds (axes, strides, sizes), flat;
            None for any other tensor.
    """

    index: int
    shape: tuple[int, ...]
    type: str
    constant: bool
    name: str = ""
    quantization: Quantization | None = None
    values: tuple[int, ...] | None = None

    @property
    def bytes(self) -> int:
        """Memory of its values, an open size as 1; 0 for a type of no fixed size, as STRING."""
        return math.prod(map(abs, self.shape)) * _BITS.get(self.type, 0) // 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator.

    Attributes:
        op: the schema's name, such as ``CONV_2D``; ``CUSTOM:name`` for one that it does not have.
        version: of the operator, as the converter gave it.
        inputs: the tensors that it reads, those that are left out not counted.
        outputs: the tensors that it writes.
        options: the schema's fields of its kind, such as ``strideW``; an enum is its number.
    """

    op: str
    version: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    options: Mapping[str, Any]

    @property
    def activations(self) -> tuple[Tensor, ...]:
        """The inputs that are not constants."""
        return tuple(tensor for tensor in self.inputs if not tensor.constant)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Graph:
    """One file.

    Attributes:
        name: of the file, for messages.
        inputs: the tensors that its user fills.
        outputs: the tensors that its user reads.
        operators: in the order in which they run.
        min_runtime_version: the oldest TensorFlow Lite that has all of its operators, as the
            converter wrote it; empty if it wrote none.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    min_runtime_version: str = ""

    @property
    def constants(self) -> tuple[Tensor, ...]:
        """Every constant that an operator reads, once, in the order of first use."""
        found = {t.index: t for op in self.operators for t in op.inputs if t.constant}
        return tuple(found.values())

    @property
    def weight_bytes(self) -> int:
        """Bytes of all constants."""
        return sum(tensor.bytes for tensor in self.constants)


def read_graph(path: str | pathlib.Path) -> Graph:
    """Reads a `.tflite` file.

    Args:
        path: the file.

    Returns:
        Its graph, named by the file's name.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: it is no whole `.tflite` file, or holds more than one subgraph.
    """
    path = pathlib.Path(path)
    return graph_of(path.read_bytes(), name=path.name)


def graph_of(tflite: bytes, *, name: str) -> Graph:
    """Reads the bytes of a `.tflite` file.

    Args:
        tflite: the file's content.
        name: what to call it in messages.

    Returns:
        Its graph.

    Raises:
        ValueError: it is no whole `.tflite` file, or holds more than one subgraph.
    """
    model = model_of(tflite, name=name)
    if len(model.subgraphs) != 1:
        raise ValueError(
            f"{name} holds {len(model.subgraphs)} subgraphs; accepted is a file of one: convert "
            "one signature, without control flow."
        )
    with _reading(tflite, name):
        return _graph(model, name)


def model_of(tflite: bytes, *, name: str) -> schema.ModelT:
    """Reads the bytes of a `.tflite` file into the schema's own objects, which can be changed.

    Args:
        tflite: the file's content.
        name: what to call it in messages.

    Returns:
        The schema's model.

    Raises:
        ValueError: it is no whole `.tflite` file.
    """
    if tflite[4:8] != IDENTIFIER:
        raise ValueError(
            f"{name} is no .tflite file: bytes 4 to 8 are {tflite[4:8]!r}, accepted is "
            f"{IDENTIFIER!r}. Give the file that the TensorFlow Lite converter wrote."
        )
    with _reading(tflite, name):
        model = schema.ModelT.InitFromPackedBuf(tflite)
    if not (model.subgraphs and model.buffers):
        raise ValueError(f"{name} is a .tflite file without a graph. Convert it again.")
    return model


@contextlib.contextmanager
def _reading(tflite: bytes, name: str) -> Iterator[None]:
    """Turns whatever goes wrong in the block into the error that the file is not whole."""
    try:
        yield
    # Flatbuffers does not check what it reads: bytes that are missing or wrong show as whatever
    # their reading happens to raise.
    except Exception as error:
        raise ValueError(
            f"{name} ({len(tflite)} bytes) is not a whole .tflite file: {error}. Copy or convert "
            "it again."
        ) from error


def _graph(model: schema.ModelT, name: str) -> Graph:
    (subgraph,) = model.subgraphs
    tensors = [
        _tensor(index, tensor, model.buffers[tensor.buffer].data)
        for index, tensor in enumerate(subgraph.tensors)
    ]

    def at(indices: Any) -> tuple[Tensor, ...]:
        return tuple(tensors[index] for index in _numbers(indices) if index >= 0)

    return Graph(
        name=name,
        inputs=at(subgraph.inputs),
        outputs=at(subgraph.outputs),
        operators=tuple(
            Operator(
                op=_op_name(code),
                version=code.version,
                inputs=at(operator.inputs),
                outputs=at(operator.outputs),
                options=dict(_options(operator)),
            )
            for operator in subgraph.operators
            for code in [model.operatorCodes[operator.opcodeIndex]]
        ),
        min_runtime_version=_min_runtime_version(model),
    )


def _tensor(index: int, tensor: Any, data: Any) -> Tensor:
    shape = tensor.shapeSignature if tensor.shapeSignature is not None else tensor.shape
    kind = _type_names()[tensor.type]
    # Buffer 0 is empty by the schema, and is that of every tensor that a run computes.
    constant = data is not None and len(data) > 0
    values = None
    if constant and kind in _INTEGERS:
        numbers = np.frombuffer(bytes(data), _INTEGERS[kind])
        values = tuple(numbers.tolist()) if len(numbers) <= _MOST_VALUES else None
    return Tensor(
        index=index,
        name=(tensor.name or b"").decode(errors="replace"),
        shape=tuple(_numbers(shape)),
        type=kind,
        constant=constant,
        quantization=_quantization(tensor.quantization),
        values=values,
    )


def _quantization(parameters: Any) -> Quantization | None:
    if parameters is None or parameters.scale is None or len(parameters.scale) == 0:
        return None
    return Quantization(
        scales=tuple(float(scale) for scale in parameters.scale),
        zero_points=tuple(_numbers(parameters.zeroPoint)),
        axis=parameters.quantizedDimension,
    )


def _op_name(code: Any) -> str:
    # Files of before 2020 have the number in the older field only.
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    name = _operator_names().get(number, f"BUILTIN_{number}")  # of a later schema
    return f"CUSTOM:{code.customCode.decode()}" if name == "CUSTOM" else name


def _options(operator: Any) -> Iterator[tuple[str, Any]]:
    """Yields the fields of an operator's options, arrays as tuples."""
    for options in (operator.builtinOptions, operator.builtinOptions2):
        for field, value in vars(options).items() if options else ():
            yield field, tuple(value.tolist()) if isinstance(value, np.ndarray) else value


def _min_runtime_version(model: Any) -> str:
    for entry in model.metadata or ():
        if entry.name == MIN_RUNTIME_VERSION.encode():
            return bytes(model.buffers[entry.buffer].data).rstrip(b"\0").decode()
    return ""


def _numbers(vector: Any) -> list[int]:
    return [] if vector is None else [int(number) for number in vector]


@functools.cache
def _operator_names() -> dict[int, str]:
    return {number: name for name, number in _enum(schema.BuiltinOperator)}


@functools.cache
def _type_names() -> dict[int, str]:
    return {number: name for name, number in _enum(schema.TensorType)}


def _enum(names: type) -> list[tuple[str, int]]:
    return [(name, value) for name, value in vars(names).items() if isinstance(value, int)]
