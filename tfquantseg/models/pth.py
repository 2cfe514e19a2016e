"""Reads the weights in a `.pth` file of PyTorch's legacy format, and runs none of its code.

Such a file is five pickles and then numbers: a magic number, a version, what the writing machine
was like, the dictionary of tensors, the keys of their storages, and each storage as the number of
its elements, int64, and the elements. A pickle is a program that may call whatever it names. Here
it may name an ordered dictionary, the rebuilding of a tensor and kinds of storages, and each of
them means something harmless; any other name is refused before anything is looked up or called.
"""

import math
import pathlib
import pickle
from collections import OrderedDict
from typing import Any, BinaryIO, NamedTuple

import numpy as np

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_ZIP = b"PK\x03\x04"
_COUNT = np.dtype("<i8")
_TYPES = {
    "HalfStorage": np.dtype("<f2"),
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "IntStorage": np.dtype("<i4"),
    "LongStorage": np.dtype("<i8"),
}


class _Storage(NamedTuple):
    """The numbers that tensors share, named before they are read."""

    key: str
    type: np.dtype
    elements: int


class _Tensor(NamedTuple):
    """A view of a storage, all in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read(path: str | pathlib.Path) -> dict[str, np.ndarray]:
    """Reads a dictionary of tensors, a module's `state_dict()`.

    Args:
        path: a file that `torch.save` wrote in the legacy format: before PyTorch 1.6, or with
            `_use_new_zipfile_serialization=False`.

    Returns:
        Name to array, in the file's order, with PyTorch's axes and the file's types.

    Raises:
        ValueError: no such file, one of another format, one that ends early, one whose pickles
            name anything but tensors, with that name, or a tensor that lies outside its storage.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(f"Weights file {str(path)!r} is not there; give the path of a .pth file.")
    with path.open("rb") as file:
        try:
            return _read(file, path.stat().st_size)
        except Exception as error:  # Bytes that are no such file may end in any.
            raise ValueError(
                f"Weights file {str(path)!r} can't be read: {str(error).rstrip('.')}. Accepted is "
                "a state_dict() of tensors in PyTorch's legacy format."
            ) from error


def _read(file: BinaryIO, size: int) -> dict[str, np.ndarray]:
    if file.read(len(_ZIP)) == _ZIP:
        raise ValueError(
            "It is of PyTorch's newer format; save it with torch.save(..., "
            "_use_new_zipfile_serialization=False)."
        )
    file.seek(0)
    if (magic := _load(file, {})) != _MAGIC:
        raise ValueError(f"It starts with {str(magic)[:40]!r}, not with PyTorch's magic number.")
    if (version := _load(file, {})) != _VERSION:
        raise ValueError(f"Its version is {version!r}, not {_VERSION}.")
    if not _load(file, {})["little_endian"]:
        raise ValueError("It was written on a big-endian machine.")
    tensors = _load(file, {"collections.OrderedDict": OrderedDict} | _torch_names())
    declared = {tensor.storage.key: tensor.storage for tensor in _checked(tensors).values()}
    keys = _load(file, {})
    if set(keys) != set(declared):
        raise ValueError("Its list of storages is not that of its tensors.")
    storages = {key: _numbers(file, size, declared[key]) for key in keys}
    return {name: _array(name, tensor, storages) for name, tensor in tensors.items()}


def _torch_names() -> dict[str, Any]:
    """What the names of PyTorch mean here, made anew for each file, which could change it."""

    def rebuild(storage: _Storage, offset: int, shape: Any, strides: Any, *_: Any) -> _Tensor:
        """Stands for a tensor; what follows are its gradient's need, hooks and metadata."""
        return _Tensor(storage, offset, shape, strides)

    kinds = {f"torch.{name}": type_ for name, type_ in _TYPES.items()}
    return {"torch._utils._rebuild_tensor_v2": rebuild} | kinds


def _load(file: BinaryIO, names: dict[str, Any]) -> Any:
    return _Unpickler(file, names).load()


class _Unpickler(pickle.Unpickler):
    """Gives the names that a pickle asks for their meaning of this file."""

    def __init__(self, file: BinaryIO, names: dict[str, Any]) -> None:
        super().__init__(file)
        self._names = names

    def find_class(self, module: str, name: str) -> Any:
        """Returns what a name means.

        Raises:
            ValueError: it is not on the list.
        """
        if (full := f"{module}.{name}") not in self._names:
            raise ValueError(f"It names {full!r}, which is no part of a tensor: it may hold code.")
        return self._names[full]

    def persistent_load(self, pid: Any) -> _Storage:
        """Returns a storage that is still to be read."""
        _, type_, key, _, elements, view = pid
        if view is not None:
            raise ValueError(f"Its storage {key!r} is a view of another one.")
        return _Storage(key, type_, elements)


def _checked(tensors: Any) -> dict[str, _Tensor]:
    if not isinstance(tensors, dict):
        raise ValueError(f"It holds a {type(tensors).__name__}, no dictionary.")
    for name, tensor in tensors.items():
        if not isinstance(tensor, _Tensor) or not isinstance(tensor.storage, _Storage):
            raise ValueError(f"Its entry {name!r} is no tensor.")
        numbers = (tensor.offset, *tensor.shape, *tensor.strides)
        if not all(isinstance(n, int) and n >= 0 for n in numbers):
            raise ValueError(f"Its tensor {name!r} has sizes {numbers}; they are integers from 0.")
    return tensors


def _numbers(file: BinaryIO, size: int, storage: _Storage) -> np.ndarray:
    """Reads the next storage."""
    counted = file.read(_COUNT.itemsize)
    if len(counted) == _COUNT.itemsize:
        count = int(np.frombuffer(counted, _COUNT)[0])
        if count != storage.elements:
            raise ValueError(
                f"Its storage {storage.key!r} has {count} elements and should have "
                f"{storage.elements}."
            )
        if count * storage.type.itemsize <= size - file.tell():
            return np.frombuffer(file.read(count * storage.type.itemsize), storage.type)
    raise ValueError(f"It ends within its storage {storage.key!r}: it is not whole.")


def _array(name: str, tensor: _Tensor, storages: dict[str, np.ndarray]) -> np.ndarray:
    """Copies a tensor out of its storage."""
    numbers = storages[tensor.storage.key]
    last = tensor.offset + sum(
        (side - 1) * stride for side, stride in zip(tensor.shape, tensor.strides, strict=True)
    )
    # A stride of 0 repeats elements: a few bytes could ask for any amount of memory.
    if math.prod(tensor.shape) > numbers.size or last >= numbers.size:
        raise ValueError(f"Its tensor {name!r} of {tensor.shape} lies outside its storage.")
    strides = [stride * numbers.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides)
    return view.copy()
