"""How much a pixel of each class counts in the loss, so that rare classes are learned too.

In street scenes road and sky have a hundred times the pixels of signs and poles, and the mean IoU
counts all classes alike. *Median frequency balancing* (Eigen and Fergus, arXiv:1411.4734; on CamVid
Badrinarayanan et al., arXiv:1511.00561) weights class c by

    w_c = (median of f / f_c)^b,    f_c = pixels of c / pixels of the images in which c appears,

with b = 1. A smaller exponent b balances less: 1/2 raises rare classes without many false alarms,
and 0 weights all pixels alike.
"""

from __future__ import annotations

import numpy as np

from tfquantseg.data.segmentation import SegmentationData


def class_weights(data: SegmentationData, exponent: float) -> tuple[float, ...]:
    """Returns how much a pixel of each class should count in a loss, from all labels of a split.

    ``w_c = (median of f / f_c)**b``, f_c being the share of class c in the images that show it.

    Args:
        data: The training split; ignored pixels count as pixels of no class.
        exponent: b, from 0 (no balancing) to 1 (median frequency balancing).

    Returns:
        One weight a class; 1 for a class that does not appear.

    Raises:
        ValueError: The exponent is out of range, or an example cannot be read.
    """
    if not 0 <= exponent <= 1:
        raise ValueError(f"exponent must be from 0 to 1, received {exponent!r}.")
    classes = len(data.classes)
    pixels, around = np.zeros(classes), np.zeros(classes)
    for index in range(len(data)):
        label = data.read(index).label
        counts = np.bincount(label[label != data.ignore_label], minlength=classes)
        pixels += counts
        around += np.where(counts > 0, counts.sum(), 0)
    present = pixels > 0
    frequency = pixels[present] / around[present]
    weights = np.ones(classes)
    weights[present] = (np.median(frequency) / frequency) ** exponent
    return tuple(weights.tolist())
