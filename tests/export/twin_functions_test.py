"""The twin of functions against LiteRT's reference kernels: every byte, many steps, equal."""

from collections.abc import Callable

import numpy as np
import pytest

from tfquantseg.export.certificate import _micro
from tfquantseg.export.functions import (
    UNIT_STEP,
    Function,
    Multiply,
    PRelu,
    Softmax,
    Subtract,
)
from tfquantseg.export.network import Add, Mean, Network, Operation, Requantize, Tensor
from tfquantseg.export.runtime import FileNetwork
from tfquantseg.export.tflite import write_tflite
from tfquantseg.export.twin import compute_all, operate

SHAPE = (16, 16, 3)
_STEPS = 24  # networks of each kind, the step of their input from 2**-9 to 2**-1

Random = np.random.Generator
Made = tuple[Operation, ...]


def _tensor(name: str, step: float, zero_point: int = 0, shape=SHAPE) -> Tensor:
    return Tensor(name, shape, float(np.float32(step)), zero_point)


def _image(random: Random) -> np.ndarray:
    """Every byte in the first channel, and every byte in another order in the others."""
    channels = [np.arange(256), random.permutation(256), random.permutation(256)]
    return np.stack(channels, -1).reshape(SHAPE).astype(np.uint8)


def _unit(made: type[Operation], **fields) -> Callable[[Tensor, Random], Made]:
    output = _tensor("made", UNIT_STEP, -128)
    return lambda x, random: (made(inputs=(x,), output=output, **fields),)


def _tanh(x: Tensor, random: Random) -> Made:
    return (Function(inputs=(x,), output=_tensor("made", 1 / 128), kind="tanh"),)


def _gelu(x: Tensor, random: Random) -> Made:
    output = _tensor("made", x.step * random.uniform(0.3, 1.5))
    return (Function(inputs=(x,), output=output, kind="gelu"),)


def _prelu(x: Tensor, random: Random) -> Made:
    output = _tensor("made", x.step * random.uniform(0.3, 1.5))
    slopes = random.integers(-127, 128, SHAPE[2]).astype(np.int8)
    step = float(np.float32(random.uniform(0.001, 0.02)))
    return (PRelu(inputs=(x,), output=output, slopes=slopes, slope_step=step),)


def _second(x: Tensor, random: Random) -> Requantize:
    """Another tensor, on a grid of either sign."""
    zero_point = int(random.choice([0, -128]))
    output = _tensor("second", x.step * random.uniform(0.3, 2), zero_point)
    return Requantize(inputs=(x,), output=output, activation="linear")


def _of_two(kind: type[Operation], size: Callable) -> Callable[[Tensor, Random], Made]:
    """Two tensors in either order, with any activation."""

    def made(x: Tensor, random: Random) -> Made:
        second = _second(x, random)
        inputs = (x, second.output) if random.random() < 0.5 else (second.output, x)
        output = _tensor("made", size(x, second.output) * random.uniform(0.3, 1.5))
        activation = random.choice(["linear", "relu", "relu6"])
        return second, kind(inputs=inputs, output=output, activation=activation)

    return made


def _square(x: Tensor, random: Random) -> Made:
    output = _tensor("made", 127 * x.step**2)
    return (Multiply(inputs=(x, x), output=output, activation="linear"),)


CASES = {
    "sigmoid": _unit(Function, kind="sigmoid"),
    "softmax": _unit(Softmax),
    "tanh": _tanh,
    "gelu": _gelu,
    "prelu": _prelu,
    "multiply": _of_two(Multiply, lambda a, b: 127 * a.step * b.step),
    "square": _square,
    "subtract": _of_two(Subtract, lambda a, b: max(a.step, b.step)),
}


def _differing(operations: Made, x: Tensor, image: np.ndarray) -> int:
    network = Network("one", x, operations, operations[-1].output, {})
    file = FileNetwork(write_tflite(network), kernels="reference")
    made = compute_all(network, image)[operations[-1].output.name]
    return int(np.count_nonzero(file(image) != made))


@pytest.mark.parametrize("case", CASES)
def test_every_byte_equals_the_reference_kernels(case: str) -> None:
    random = np.random.default_rng(3)
    for _ in range(_STEPS):
        x = _tensor("image", 2.0 ** random.uniform(-9, -1))
        operations = CASES[case](x, random)
        assert _differing(operations, x, _image(random)) == 0, operations


@pytest.mark.parametrize("kind", [Multiply, Subtract, Add])
def test_a_single_position_meets_every_other(kind: type[Operation]) -> None:
    random = np.random.default_rng(4)
    for _ in range(_STEPS):
        x = _tensor("image", 2.0 ** random.uniform(-9, -1))
        mean = _tensor("mean", x.step * random.uniform(0.5, 1), shape=(1, 1, SHAPE[2]))
        inputs = (x, mean) if random.random() < 0.5 else (mean, x)
        step = 127 * x.step * mean.step if kind is Multiply else x.step
        output = _tensor("made", step * random.uniform(0.5, 1.5))
        operations = (
            Mean(inputs=(x,), output=mean),
            kind(inputs=inputs, output=output, activation="linear"),
        )
        image = np.clip(_image(random).astype(np.int64) + 60, 0, 255).astype(np.uint8)
        assert _differing(operations, x, image) == 0, operations


def test_tflite_micro_computes_the_same() -> None:
    random = np.random.default_rng(5)
    for case in CASES.keys() - {"gelu"}:  # which it lacks
        for _ in range(4):
            x = _tensor("image", 2.0 ** random.uniform(-9, -1))
            operations = CASES[case](x, random)
            network = Network("one", x, operations, operations[-1].output, {})
            run = _micro(write_tflite(network), outputs=1)
            assert not isinstance(run, str), run
            image = _image(random)
            (made,) = run(image)
            np.testing.assert_array_equal(
                made.reshape(SHAPE), compute_all(network, image)["made"], err_msg=case
            )


@pytest.mark.parametrize("case", ["sigmoid", "tanh"])
@pytest.mark.parametrize(("step", "most"), [(0.75, 0), (1.0, 0), (8.5, 128), (30.0, 128)])
def test_tflite_micro_has_no_middle_of_a_gate_whose_input_is_coarse(
    case: str, step: float, most: int
) -> None:
    # What docs/design/export.md says of it: 0 becomes an end of the range.
    random = np.random.default_rng(8)
    x = _tensor("image", step)
    operations = CASES[case](x, random)
    network = Network("one", x, operations, operations[-1].output, {})
    run, image = _micro(write_tflite(network), outputs=1), _image(random)
    assert not isinstance(run, str), run
    apart = run(image)[0].reshape(SHAPE).astype(np.int64) - compute_all(network, image)["made"]
    assert np.abs(apart).max() == most
    assert not apart[image != 128].any()  # the byte of 0


@pytest.mark.parametrize(
    ("largest", "apart", "equal"), [(2, 0.69, 0.88), (4, 0.63, 0.97), (8, 0.54, 0.99)]
)
def test_hard_silu_by_a_gate_is_close_to_one_rounding(
    largest: float, apart: float, equal: float
) -> None:
    x = Tensor("x", (1, 255, 1), float(np.float32(largest / 127)))
    integers = np.arange(-127, 128)
    real = integers * x.step
    gate = np.clip(real / 6 + 0.5, 0, 1)
    output = Tensor("made", x.shape, float(np.float32(np.abs(real * gate).max() / 127)))
    bytes_ = np.minimum(np.round(gate * 256), 255) - 128
    made = operate(
        Multiply(
            inputs=(x, Tensor("gate", x.shape, UNIT_STEP, -128)), output=output, activation="linear"
        ),
        [one.astype(np.int8).reshape(x.shape) for one in (integers, bytes_)],
    ).reshape(-1)
    wanted = real * gate / output.step
    # What docs/design/export.md says of it.
    assert np.abs(made - wanted).max() <= apart
    assert (made == np.round(wanted)).mean() >= equal


def test_a_mean_over_few_positions_is_at_most_a_step_from_one_rounding() -> None:
    random, apart = np.random.default_rng(6), []
    for _ in range(_STEPS):
        x = _tensor("x", 1.0, shape=(4, 4, 256))
        output = _tensor("mean", random.uniform(0.1, 1), shape=(1, 1, 256))
        integers = np.clip(random.normal(0, 12, x.shape).round(), -127, 127)
        made = operate(Mean(inputs=(x,), output=output), [integers.astype(np.int8)])
        wanted = integers.mean((0, 1), keepdims=True) / output.step
        apart.append(np.abs(made - np.trunc(wanted + np.copysign(0.5, wanted))))
    # What docs/design/export.md says of it: of these, one in ten, and of the worst step a quarter.
    assert np.max(apart) == 1
    assert 0.05 < np.mean(apart) < 0.15
    assert 0.2 < np.mean(apart, axis=(1, 2, 3)).max() < 0.3
