"""The certificate: what a file holds and computes, measured against what training ended with.

Three things are compared, each with the next, one by one:

* every weight in the file with the integer that training multiplied;
* the file with its twin: LiteRT's reference kernels, on whole images, 0 steps;
* the twin with the model: each operation on the very integers that the model's graph gave it, so
  that differences do not add up. The graph computes in float32 and may round a tie the other way.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np

from tfquantseg.export.graph_integers import integers_of
from tfquantseg.export.network import Convolution, Network, Repeat, Resize, along_channels
from tfquantseg.export.program import FileProgram
from tfquantseg.export.twin import compute_all, operate

MOST_STEPS = 1
"""How far an operation of the graph may be from the twin's on the same inputs; resizes excepted."""


@dataclasses.dataclass(frozen=True)
class Weights:
    """The weights of one convolution in the file.

    Attributes:
        name: the layer's.
        count: how many there are.
        equal: whether each is the integer W_q of training, up to the sign of its channel.
        flipped: channels whose sign is turned, as their gamma is negative.
        zeroed: channels of zeros whose gamma is 0.
    """

    name: str
    count: int
    equal: bool
    flipped: int
    zeroed: int


@dataclasses.dataclass(frozen=True)
class Layer:
    """One operation of the graph against the twin's, on the same inputs.

    Attributes:
        name: of its output.
        operation: its kind.
        most: the largest difference, steps.
        share: share of its outputs that differ.
    """

    name: str
    operation: str
    most: int
    share: float


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Two programs on the same images. Of classes that one gives, a difference counts as 1 step.

    Attributes:
        most: the largest difference of a logit, steps.
        share: share of the logits that differ.
        argmax: share of the pixels that get the same class.
    """

    most: int
    share: float
    argmax: float


@dataclasses.dataclass(frozen=True)
class Certificate:
    """What was found.

    Attributes:
        images: number of images that everything was run on.
        weights: of every convolution.
        layers: of every operation, in order.
        file_twin: the file, by the reference kernels, against the twin.
        micro_twin: the file, by tflite-micro, against the twin; None where it has not been run.
        graph_twin: the model's graph, whole images, against the twin.
        default_twin: the file, by the kernels of phones and computers, against the twin.
        micro_why_not: why tflite-micro has not been run; "" where it has.
    """

    images: int
    weights: tuple[Weights, ...]
    layers: tuple[Layer, ...]
    file_twin: Agreement
    micro_twin: Agreement | None
    graph_twin: Agreement
    default_twin: Agreement
    micro_why_not: str = ""

    @property
    def problems(self) -> tuple[str, ...]:
        """Sentences, one a broken promise; empty if all were kept."""
        found = [
            f"{one.name}: its weights in the file are not the integers of training."
            for one in self.weights
            if not one.equal
        ]
        for name, against in (
            ("reference kernels", self.file_twin),
            ("tflite-micro", self.micro_twin),
        ):
            if against is not None and against.most:
                found.append(f"{name}: {against.most} steps from the twin on {against.share:.2%}.")
        found += [
            f"{layer.name}: the graph is {layer.most} steps from the twin on the same inputs."
            for layer in self.layers
            if layer.most > MOST_STEPS and layer.operation != Resize.__name__
        ]
        return tuple(found)

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON knows it."""
        kept = [layer for layer in self.layers if layer.operation != Resize.__name__]
        return {
            "ok": not self.problems,
            "problems": list(self.problems),
            "images": self.images,
            "weights_equal": all(one.equal for one in self.weights),
            "twin_equal": self.file_twin.most == 0,
            "micro_equal": None if self.micro_twin is None else self.micro_twin.most == 0,
            "micro_why_not": self.micro_why_not,
            "max_step_difference": max((layer.most for layer in kept), default=0),
            "argmax_agreement": self.graph_twin.argmax,
            "weights": [dataclasses.asdict(one) for one in self.weights],
            "layers": [dataclasses.asdict(layer) for layer in self.layers],
            **{
                name: None if value is None else dataclasses.asdict(value)
                for name, value in (
                    ("file_twin", self.file_twin),
                    ("micro_twin", self.micro_twin),
                    ("graph_twin", self.graph_twin),
                    ("default_twin", self.default_twin),
                )
            },
        }


def certify(
    network: Network,
    model: keras.Model,
    content: bytes,
    images: Iterable[np.ndarray | Sequence[np.ndarray]],
    *,
    seen: Callable[[], None] = lambda: None,
) -> Certificate:
    """Compares a file, the twin and the model on some images.

    Args:
        network: what `freeze` made of the model.
        model: the trained model.
        content: the int8 file that was written of the network.
        images: uint8 [H, W, 3] of the network's size, at least one; of a network of several inputs
            each a sequence of them, in the model's order.
        seen: called after each image.

    Returns:
        A `Certificate`; its ``problems`` name what is broken (none is raised).

    Raises:
        ValueError: there is no image, or the model is not the one that was frozen.
    """
    reference = FileProgram(content, kernels="reference", keeps_tensors=network.gives_classes)
    default = FileProgram(content)
    micro = _LACKS if _has_tile(network) else _micro(content, len(network.outputs))
    graph = integers_of(model, network)
    layers = {one.output.name: _Differences() for one in network.operations}
    totals = {name: _Differences() for name in ("file", "micro", "graph", "default")}
    count = 0
    for given in images:
        count += 1
        image = (given,) if isinstance(given, np.ndarray) else tuple(given)
        made = compute_all(network, *image)
        twin = [made[tensor.name] for tensor in network.outputs]
        totals["file"].add(reference(*image), twin)
        integers = graph(*image)
        logits = [tensor.name for tensor in (network.logits, *network.more_logits)]
        if network.gives_classes:  # Classes may be equal where the logits below them are not.
            (name,) = logits
            totals["file"].add([reference.tensor(name)[0]], [made[name]])
        totals["default"].add(default(*image), twin)
        if not isinstance(micro, str):
            totals["micro"].add(micro(*image), twin)
        totals["graph"].add([integers[name] for name in logits], [made[name] for name in logits])
        for one in network.operations:
            output = operate(one, [integers[tensor.name] for tensor in one.inputs])
            layers[one.output.name].add([integers[one.output.name]], [output])
        seen()
    if not count:
        raise ValueError("a certificate needs at least one image; give a split that holds some.")
    return Certificate(
        images=count,
        weights=tuple(_weights(one, model, reference) for one in network.convolutions),
        layers=tuple(
            Layer(
                one.output.name,
                type(one).__name__,
                layers[one.output.name].most,
                layers[one.output.name].share,
            )
            for one in network.operations
        ),
        file_twin=totals["file"].agreement(),
        micro_twin=None if isinstance(micro, str) else totals["micro"].agreement(),
        graph_twin=totals["graph"].agreement(),
        default_twin=totals["default"].agreement(),
        micro_why_not=micro if isinstance(micro, str) else "",
    )


class _Differences:
    """Counts, over images, where two programs' arrays of integers differ."""

    def __init__(self) -> None:
        self.most = 0
        self._different = self._size = self._same_class = self._pixels = 0

    def add(self, ones: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> None:
        for one, other in zip(ones, others, strict=True):
            self._add(one, other)

    def _add(self, one: np.ndarray, other: np.ndarray) -> None:
        apart = np.abs(one.astype(np.int32) - other.astype(np.int32))
        if one.ndim == 2:  # classes
            apart = np.minimum(apart, 1)
            same = apart == 0
        else:
            same = one.argmax(-1) == other.argmax(-1)
        self.most = max(self.most, int(apart.max(initial=0)))
        self._different += int(np.count_nonzero(apart))
        self._size += apart.size
        self._same_class += int(np.count_nonzero(same))
        self._pixels += same.size

    @property
    def share(self) -> float:
        return self._different / max(self._size, 1)

    def agreement(self) -> Agreement:
        return Agreement(self.most, self.share, self._same_class / max(self._pixels, 1))


def _weights(one: Convolution, model: keras.Model, file: FileProgram) -> Weights:
    """Compares the weights in the file with W_q of the layer that they came from."""
    stored = file.tensor(f"{one.output.name}/weights")
    if one.kind == "depthwise":
        stored = stored.reshape(one.weights.shape)
    else:
        stored = stored.transpose((1, 2, 0, 3) if one.kind == "transposed" else (1, 2, 3, 0))
    trained = one.weights  # of a batch norm that follows no convolution: there is no W_q
    if one.layer:
        integers = model.get_layer(one.layer).quantized_kernel().integers.numpy()
        trained = integers * along_channels(one.kind, integers, one.signs)
    return Weights(
        name=one.output.name,
        count=stored.size,
        equal=np.array_equal(stored, trained),
        flipped=int(np.count_nonzero(one.signs < 0)),
        zeroed=int(np.count_nonzero(one.signs == 0)),
    )


def _has_tile(network: Network) -> bool:
    """Whether an operation is written as TILE, which tflite-micro lacks."""
    return any(isinstance(one, Repeat) for one in network.operations)


def _micro(content: bytes, outputs: int) -> Callable[..., list[np.ndarray]] | str:
    """The file in tflite-micro's interpreter, or why it can't be run there."""
    try:
        from tflite_micro.python.tflite_micro import runtime
    except ImportError:
        return "the package tflite-micro is not installed"
    try:
        interpreter = runtime.Interpreter.from_bytes(content, arena_size=_MICRO_ARENA)
    except RuntimeError:
        return _LACKS

    def run(*images: np.ndarray) -> list[np.ndarray]:
        for index, image in enumerate(images):
            integers = (image.astype(np.int16) - 128).astype(np.int8)
            interpreter.set_input(integers[np.newaxis], index)
        interpreter.invoke()
        return [np.asarray(interpreter.get_output(index)[0]) for index in range(outputs)]

    return run


_LACKS = "it lacks an operation"
_MICRO_ARENA = 2**29  # bytes; on this machine there is memory enough
