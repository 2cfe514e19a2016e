"""Calibration: the scale of every activation, measured on images in place of training's estimate.

Each `QuantEdge` is asked what it receives in evaluation, image by image, while every edge before it
takes that image's own scale, so that nothing it sees has been clipped, but by a policy's
``A_scale``. Tensors that share one step are measured as one.

    max           scale = max|A| over all images
    percentile    scale = the least s with |A| <= s for 99.99 % of the elements of all images
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import keras
import numpy as np

from tfquantseg.layers import QuantEdge, set_evaluation_scales
from tfquantseg.numerics import PERCENTILE

Method = Literal["max", "percentile"]
Image = np.ndarray | Sequence[np.ndarray]
"""One image, or one for each input of a model of several."""

_BINS = 2**14  # of a histogram of |A|: 129 in one of 127 steps

# How far above the largest |A| a scale lies. Where |A| itself is a whole number of other steps, as
# behind a PReLU, a step of max|A| / 127 makes ties of other values, which LiteRT and tflite-micro
# round apart: one divides steps in float32, the other in float64. So little more moves no other.
_ABOVE = 1 + 2.0**-18


def calibrate(
    model: keras.Model,
    images: Sequence[Image],
    method: Method,
    *,
    seen: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Returns the scale of each activation, measured on images; the model stays as it is.

    Args:
        model: what `quantize` returned, after training.
        images: uint8 or float32 [H, W, 3], RGB values 0..255, each of a size that fits the model;
            of a model of several inputs each a sequence of them, in the model's order.
        method: "max" or "percentile" (`PERCENTILE`), which reads the images twice.
        seen: called each time that an image has been read.

    Returns:
        max|A|, and 2**-18 of it, by the name of its `QuantEdge`, for `hold_scales`. An edge that
        received only zeros is left out: any step will do, and the one that training kept stays.

    Raises:
        ValueError: the method is another word, there is no image, or the model has no activation
            whose scale is estimated.
    """
    if method not in ("max", "percentile"):
        raise ValueError(f"method is {method!r}; accepted are 'max' and 'percentile'.")
    if not len(images):
        raise ValueError("calibration needs at least one image; give a split that holds some.")
    received = _received(model)
    if not received:
        raise ValueError(
            f"model {model.name!r} has no activation whose scale is estimated: it computes in "
            "float32. Calibrate a model that was trained with a policy such as INTEGER."
        )
    graph = keras.Model(model.inputs, received)
    before = {edge.name: edge.evaluation_scales for edge in _edges(model)}
    set_evaluation_scales(model, "dynamic")
    try:
        found = _measured(graph, images, method, seen)
    finally:
        for edge in _edges(model):
            edge.evaluation_scales = before[edge.name]
    return {name: scale for name, scale in found.items() if scale > 0}


def _edges(model: keras.Model) -> list[QuantEdge]:
    return [layer for layer in model.layers if isinstance(layer, QuantEdge)]


def _received(model: keras.Model) -> dict[str, list[Any]]:
    """The symbolic tensors that each edge with an estimated scale quantizes, by its name."""
    found: dict[str, list[Any]] = {}
    for nodes in model._nodes_by_depth.values():
        for node in nodes:
            edge = node.operation
            if isinstance(edge, QuantEdge) and edge.fixed_scale is None:
                found.setdefault(edge.name, []).extend(node.input_tensors)
    return found


def _measured(
    graph: keras.Model, images: Sequence[Image], method: Method, seen: Callable[[], None]
) -> dict[str, float]:
    largest: dict[str, float] = {}
    for values in _passes(graph, images, seen):
        for name, magnitudes in values.items():
            most = max(float(one.max()) for one in magnitudes) * _ABOVE
            largest[name] = max(most, largest.get(name, 0.0))
    if method == "max":
        return largest
    counts = {name: np.zeros(_BINS, np.int64) for name in largest}
    for values in _passes(graph, images, seen):
        for name, magnitudes in values.items():
            for one in magnitudes:
                counts[name] += _histogram(one, largest[name])
    return {name: _percentile(counts[name], largest[name]) for name in largest}


def _passes(
    graph: keras.Model, images: Sequence[Image], seen: Callable[[], None]
) -> Iterator[dict[str, list[np.ndarray]]]:
    """Yields, for each image, the magnitudes that each edge received."""
    for image in images:
        parts = [image] if isinstance(image, np.ndarray) else image
        values = graph([np.asarray(one, np.float32)[np.newaxis] for one in parts], training=False)
        yield {name: [np.abs(one.numpy()) for one in tensors] for name, tensors in values.items()}
        seen()


def _histogram(magnitudes: np.ndarray, largest: float) -> np.ndarray:
    """Counts of magnitudes by the bin ``(i / BINS, (i + 1) / BINS] * largest`` they lie in."""
    if not largest:
        return np.bincount([0], [magnitudes.size], _BINS).astype(np.int64)
    bins = np.ceil(magnitudes.ravel() * (_BINS / largest)).astype(np.int64) - 1
    return np.bincount(np.clip(bins, 0, _BINS - 1), minlength=_BINS)


def _percentile(counts: np.ndarray, largest: float) -> float:
    """The upper end of the first bin that holds the percentile."""
    wanted = np.ceil(counts.sum() * PERCENTILE / 100)
    index = int(np.searchsorted(np.cumsum(counts), wanted))
    return largest * (index + 1) / _BINS
