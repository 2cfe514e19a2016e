"""Reading PyTorch's legacy format: values, and files that are broken or hostile."""

import pathlib
import pickle

import numpy as np
import pytest

from tests.models.legacy_pth import Tensor, opcodes, state_dict, whole
from tfquantseg.models import pth


def _read(folder: pathlib.Path, content: bytes) -> dict[str, np.ndarray]:
    path = folder / "weights.pth"
    path.write_bytes(content)
    return pth.read(path)


@pytest.mark.parametrize("type_", ["<f2", "<f4", "<f8", "<i4", "<i8"])
def test_values_names_and_types(tmp_path: pathlib.Path, type_: str) -> None:
    tensors = {
        "layer.weight": np.arange(24).reshape(2, 3, 4).astype(type_),
        "layer.count": np.array(7, type_),
        "layer.none": np.zeros((0, 3), type_),
    }
    read = _read(tmp_path, state_dict(tensors))
    assert list(read) == list(tensors)
    for name, expected in tensors.items():
        np.testing.assert_array_equal(read[name], expected, strict=True)


def test_views_of_a_storage(tmp_path: pathlib.Path) -> None:
    numbers = np.arange(24, dtype=np.float32)
    transposed = Tensor(numbers, shape=(3, 4), strides=(1, 6), offset=2)
    read = _read(tmp_path, state_dict({"a": transposed}))
    np.testing.assert_array_equal(read["a"], numbers[2:].reshape(-1)[np.c_[:3] + 6 * np.r_[:4]])


def test_every_beginning_of_a_file_is_refused(tmp_path: pathlib.Path) -> None:
    content = state_dict({"a": np.ones((2, 2), np.float32), "b": np.zeros(3)})
    for length in range(len(content)):
        with pytest.raises(ValueError, match=r"weights\.pth' can't be read: "):
            _read(tmp_path, content[:length])


def test_a_storage_that_ends_early_is_named(tmp_path: pathlib.Path) -> None:
    content = state_dict({"a": np.ones(4, np.float32), "b": np.zeros(3)})
    with pytest.raises(ValueError, match="It ends within its storage '1': it is not whole"):
        _read(tmp_path, content[:-1])


class _Touch:
    """Makes a file when it is unpickled, as hostile code would do worse."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return pathlib.Path.touch, (self.path,)


@pytest.mark.parametrize("place", ["magic", "state", "keys"])
def test_code_is_named_and_not_run(tmp_path: pathlib.Path, place: str) -> None:
    touched = tmp_path / "touched"
    code = _Touch(touched)
    content = {
        "magic": pickle.dumps(code),
        "state": whole(opcodes({"a": code})),
        "keys": whole(opcodes({})) + pickle.dumps([code]),
    }[place]
    with pytest.raises(ValueError, match=r"It names '\w+(\.\w+)*', which is no part of a tensor"):
        _read(tmp_path, content)
    assert not touched.exists()
    pickle.loads(pickle.dumps(code))  # It does run where pickle reads it.
    assert touched.exists()


@pytest.mark.parametrize("name", ["builtins\neval", "torch\nload", "collections\nCounter"])
def test_any_other_name_is_refused(tmp_path: pathlib.Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"It names '{name}'".replace("\n", r"\.")):
        _read(tmp_path, whole(f"c{name}\n".encode()))


def test_a_method_of_an_accepted_name_is_refused(tmp_path: pathlib.Path) -> None:
    by_path = b"\x80\x04" + opcodes("collections") + opcodes("OrderedDict.fromkeys") + b"\x93."
    with pytest.raises(ValueError, match=r"It names 'collections\.OrderedDict\.fromkeys'"):
        _read(tmp_path, whole(b"N")[: -len(b"\x80\x02N.")] + by_path)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (Tensor(np.ones(4), shape=(5,)), r"'a' of \(5,\) lies outside its storage"),
        (Tensor(np.ones(4), offset=1, shape=(4,)), "lies outside its storage"),
        (Tensor(np.ones(4), shape=(2, 2), strides=(3, 1)), "lies outside its storage"),
        # A broadcast one: 8 bytes that ask for 8 TB.
        (Tensor(np.ones(1), shape=(10**12,), strides=(0,)), "lies outside its storage"),
        (Tensor(np.ones(4), offset=-1), r"has sizes \(-1, 4, 1\); they are integers from 0"),
        (Tensor(np.ones(4), shape=(4,), strides=(-1,)), "they are integers from 0"),
        (Tensor(np.ones(4), shape=("4",), strides=(1,)), "they are integers from 0"),
    ],
)
def test_tensors_outside_their_storage(
    tmp_path: pathlib.Path, tensor: Tensor, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        _read(tmp_path, state_dict({"a": tensor}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (whole(opcodes([1.0])), "It holds a list, no dictionary"),
        (whole(opcodes({"epoch": 3})), "Its entry 'epoch' is no tensor"),
        (whole(b"N", magic=5), "It starts with '5', not with PyTorch's magic number"),
        (whole(b"N", little_endian=False), "It was written on a big-endian machine"),
        (whole(opcodes({})) + pickle.dumps(["7"]), "list of storages is not that of its tensors"),
        (b"PK\x03\x04 and so on", "newer format; save it with torch.save"),
        (b"no pickle at all", "can't be read"),
    ],
)
def test_other_files_are_refused(tmp_path: pathlib.Path, content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _read(tmp_path, content)


def test_a_file_that_is_not_there(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"none\.pth' is not there; give the path"):
        pth.read(tmp_path / "none.pth")
