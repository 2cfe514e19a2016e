"""The masks of SBD, the Semantic Boundaries Dataset: 11,355 images of PASCAL VOC, in MATLAB files.

```
benchmark_RELEASE/dataset/  cls/2008_000002.mat  inst/  img/  train.txt  val.txt
```

A file of cls/ holds the structure `GTcls`, whose field `Segmentation` is the label map: 0 for the
background, 1 to 20 for VOC's classes. It has no void.

Reference: Hariharan et al., "Semantic contours from inverse detectors", ICCV 2011.
"""

from __future__ import annotations

import io
import pathlib
import zlib

import numpy as np

from tfquantseg.data.segmentation import Bytes
from tfquantseg.names import first_few

PLACE = "benchmark_RELEASE/dataset"
MASKS = "cls"
LISTS = ("train.txt", "val.txt")
OBTAIN = "The command `data download sbd` fetches it."
_STRUCTURE, _FIELD = "GTcls", "Segmentation"


def read(path: pathlib.Path) -> Bytes:
    """Decodes a label map of cls/.

    Args:
        path: A .mat file of MATLAB 5, as SBD's are.

    Returns:
        uint8 [H, W], VOC's labels 0 to 20.

    Raises:
        ValueError: The file is missing or damaged, is no MATLAB 5 file, or is not one of cls/.
    """
    # Imported here since it takes a third of a second, which readers of other data need not wait.
    from scipy.io import loadmat, matlab

    # What SciPy raises on damaged bytes and on other files, depending on where it stumbles;
    # NotImplementedError is of MATLAB 7.3, which is HDF5.
    damage = (
        matlab.MatReadError,
        IndexError,
        KeyError,
        NotImplementedError,
        OSError,
        TypeError,
        ValueError,
        zlib.error,
    )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        content = loadmat(io.BytesIO(data))
    except damage as error:
        raise ValueError(
            f"{path} ({len(data)} bytes) cannot be decoded as a MATLAB 5 file: {error}. Expected "
            f"is a file of SBD's folder {MASKS}/; replace it. {OBTAIN}"
        ) from error
    structure = content.get(_STRUCTURE)
    fields = getattr(getattr(structure, "dtype", None), "names", None) or ()
    if structure is None or _FIELD not in fields or structure.size != 1:
        variables = [name for name in content if not name.startswith("__")]
        hint = (
            f" This one is of inst/, which tells objects apart; take the file of {MASKS}/."
            if "GTinst" in variables
            else ""
        )
        raise ValueError(
            f"{path} is no label map of SBD: it holds {first_few(variables) or 'nothing'}; "
            f"expected is the structure {_STRUCTURE} with the field {_FIELD}.{hint}"
        )
    labels = structure.reshape(-1)[0][_FIELD]
    if labels.ndim != 2 or labels.dtype != np.uint8 or not labels.size:
        raise ValueError(
            f"{path} is no label map of SBD: {_STRUCTURE}.{_FIELD} is {labels.dtype} "
            f"{list(labels.shape)}; expected is uint8 [height, width]."
        )
    return np.ascontiguousarray(labels)
