"""Golden vectors: the integers and steps of a step's objects, as files for hardware builders."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfquantseg.training.whole import whole_folder


def write(folder: Path, taps: Mapping[str, Mapping[str, np.ndarray]]) -> int:
    """Writes one OWNER.LETTER.npz a tap, the folder whole or not at all.

    Each file holds ``integers``, in the smallest signed integer type that holds them, and
    ``step``, float32: value = integers * step. An object that the policy leaves in float32 is
    written as ``values``.

    Args:
        folder: where to; it must not exist, or be empty.
        taps: what `tfquantseg.analysis.audit` kept, by owner/letter.

    Returns:
        The number of files.

    Raises:
        FileExistsError: the folder holds something.
        OSError: it can't be written.
    """
    check_free(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with whole_folder(folder) as unfinished:
        for name, pair in taps.items():
            arrays: dict[str, Any] = _arrays(pair)
            np.savez(unfinished / f"{name.replace('/', '.')}.npz", **arrays)
    return len(taps)


def check_free(folder: Path) -> None:
    """Raises FileExistsError if a folder holds something, which `write` would refuse."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} holds files already; name a new folder for --dump.")


def _arrays(pair: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    integers, step = pair["integers"], pair["step"]
    if not np.array_equal(integers, np.floor(integers)):
        return {"values": integers * step}
    most = np.abs(integers).max(initial=0)
    for integer_type in (np.int8, np.int16, np.int32):
        if most <= np.iinfo(integer_type).max + (integers.min(initial=0) == -most):
            return {"integers": integers.astype(integer_type), "step": step}
    return {"values": integers * step}
