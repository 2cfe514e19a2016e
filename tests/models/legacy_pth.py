"""Writes PyTorch's legacy format without PyTorch, opcode by opcode."""

import dataclasses
import math
import pickle
from collections.abc import Mapping

import numpy as np

_MAGIC = 0x1950A86A20F9469CFC6C
_KINDS = {"f2": "Half", "f4": "Float", "f8": "Double", "i4": "Int", "i8": "Long"}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor, and what its file claims about it where that is not the truth."""

    values: np.ndarray
    offset: int = 0
    shape: tuple | None = None
    strides: tuple | None = None


def state_dict(tensors: Mapping[str, Tensor | np.ndarray]) -> bytes:
    """A whole file of the tensors, each with a storage of its own."""
    entries, storages = b"", b""
    for key, (name, tensor) in enumerate(tensors.items()):
        tensor = tensor if isinstance(tensor, Tensor) else Tensor(tensor)
        entries += opcodes(name) + _rebuilt(str(key), tensor)
        storages += np.int64(tensor.values.size).tobytes() + tensor.values.tobytes()
    return whole(b"ccollections\nOrderedDict\n)R(" + entries + b"u") + (
        pickle.dumps([str(key) for key in range(len(tensors))], 2) + storages
    )


def whole(
    state: bytes, *, magic: int = 0x1950A86A20F9469CFC6C, little_endian: bool = True
) -> bytes:
    """The file up to the list of storages; `state` are the opcodes of what it holds."""
    system = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": {}}
    before = b"".join(pickle.dumps(value, 2) for value in (magic, 1001, system))
    return before + b"\x80\x02" + state + b"."


def opcodes(value: object) -> bytes:
    """The opcodes that push a value."""
    return pickle.dumps(value, 2)[2:-1]


def _rebuilt(key: str, tensor: Tensor) -> bytes:
    values = tensor.values
    shape = values.shape if tensor.shape is None else tensor.shape
    strides = tensor.strides
    if strides is None:
        strides = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    kind = f"ctorch\n{_KINDS[values.dtype.str[1:]]}Storage\n".encode()
    storage = b"(" + opcodes("storage") + kind + opcodes(key) + opcodes("cpu")
    storage += opcodes(values.size) + b"NtQ"
    arguments = storage + b"".join(map(opcodes, (tensor.offset, shape, strides, False)))
    hooks = b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + hooks + b"tR"
