"""The frame of a `.tflite` file: tensors, buffers, operators, metadata."""

import json
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfquantseg.export.aligned import ABOUT, AlignedBuffer, pack_model
from tfquantseg.export.network import Network, Operation, Tensor
from tfquantseg.export.operator_versions import oldest_runtime

Border = Literal["int8", "uint8"]


class FileWriter:
    """Collects tensors, buffers and operators; a subclass adds the operations of a network."""

    def __init__(self, network: Network, border: Border) -> None:
        """Begins the file of a network with its inputs."""
        self._network = network
        self._buffers = [AlignedBuffer(b"")]
        self._tensors: list[Any] = []
        self._shared: dict[bytes, int] = {}
        self._codes: dict[tuple[int, int], int] = {}
        self._operators: list[Any] = []
        self._index: dict[str, int] = {}
        self._images = [self._image(image, border) for image in network.images]

    def content(self, about: Mapping[str, Any] | None) -> bytes:
        """Returns the file, and in it what it is to say of itself, JSON."""
        graph = schema.SubGraphT()
        graph.name = "main"
        graph.tensors, graph.operators = self._tensors, self._operators
        graph.inputs = self._images
        graph.outputs = [self._index[tensor.name] for tensor in self._network.outputs]
        model = schema.ModelT()
        model.version = 3
        model.description = f"tfquantseg {self._network.name}"
        model.subgraphs, model.buffers = [graph], self._buffers
        model.operatorCodes = [_code(*key) for key in self._codes]
        runtime = ".".join(map(str, oldest_runtime(self._codes))).encode().ljust(16, b"\0")
        model.metadata = [self._metadata("min_runtime_version", runtime)]
        if about is not None:
            model.metadata.append(self._metadata(ABOUT, json.dumps(about).encode()))
        return pack_model(model)

    def _metadata(self, name: str, content: bytes) -> Any:
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, self._buffer(content)
        return entry

    # Tensors.

    def _buffer(self, data: bytes) -> int:
        self._buffers.append(AlignedBuffer(data))
        return len(self._buffers) - 1

    def _buffer_of(self, values: np.ndarray, *, shared: bool) -> int:
        """The buffer of a constant, or of an equal one that was written before."""
        data = np.ascontiguousarray(values).tobytes()
        if not shared:
            return self._buffer(data)
        if data not in self._shared:
            self._shared[data] = self._buffer(data)
        return self._shared[data]

    def _tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        kind: int,
        data: np.ndarray | None = None,
        *,
        steps: Any = (),
        zero_point: int = 0,
        axis: int = 0,
        shared: bool = False,
    ) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, list(shape), kind
        # Buffer 0 is empty: that of all tensors which are computed.
        tensor.buffer = 0 if data is None else self._buffer_of(data, shared=shared)
        if len(steps):
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = np.asarray(steps, np.float32)
            tensor.quantization.zeroPoint = np.full(len(steps), zero_point, np.int64)
            tensor.quantization.quantizedDimension = axis
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _activations(self, tensor: Tensor) -> int:
        index = self._tensor(
            tensor.name,
            (1, *tensor.shape),
            schema.TensorType.INT8,
            steps=[tensor.step],
            zero_point=tensor.zero_point,
        )
        self._index[tensor.name] = index
        return index

    def _image(self, image: Tensor, border: Border) -> int:
        """Makes an input; of bytes a QUANTIZE makes integers, exactly, as the step is the same."""
        if border == "int8":
            return self._activations(image)
        index = self._tensor(
            f"{image.name}_bytes",
            (1, *image.shape),
            schema.TensorType.UINT8,
            steps=[image.step],
            zero_point=128,
        )
        self._operate(schema.BuiltinOperator.QUANTIZE, 1, [index], image, schema.QuantizeOptionsT())
        return index

    def _constant(self, name: str, values: Any) -> int:
        integers = np.asarray(values, np.int32)
        return self._tensor(name, integers.shape, schema.TensorType.INT32, integers)

    # Operators.

    def _operate(
        self, code: int, version: int, inputs: list[int], output: Tensor | int, options: Any = None
    ) -> None:
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes.setdefault((code, version), len(self._codes))
        made = output if isinstance(output, int) else self._activations(output)
        operator.inputs, operator.outputs = inputs, [made]
        if options is not None:
            name = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
            operator.builtinOptions = options
        self._operators.append(operator)

    def _inputs(self, operation: Operation) -> list[int]:
        return [self._index[tensor.name] for tensor in operation.inputs]


def _code(code: int, version: int) -> Any:
    operator = schema.OperatorCodeT()
    operator.builtinCode = code
    # Readers of the old field, one byte wide, know every operator that is written here.
    operator.deprecatedBuiltinCode = min(code, 127)
    operator.version = version
    return operator
