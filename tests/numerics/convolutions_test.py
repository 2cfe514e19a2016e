"""The three products of `tfquantseg.numerics.Convolution` against int64 loops, exactly.

Steps are powers of two, so that the comparison in float32 is one of the integer sums: all of them
stay below 2**24.
"""

import contextlib
import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.numerics import reference
from tests.numerics.modes import MODES
from tfquantseg import kernels
from tfquantseg.numerics import Convolution, Quantized, Scaled

E2 = Scaled(8, step="max/127", rounding="half_away")
S_A, S_E = 2.0**-5, 2.0**-9


@pytest.fixture(params=["own", "stock"], autouse=True)
def which_kernels(request):
    """Every test runs with own kernels, where there are any, and with TensorFlow's."""
    with kernels.stock() if request.param == "stock" else contextlib.nullcontext():
        yield


@dataclasses.dataclass(frozen=True)
class Case:
    """One convolution and the sizes it is tried on."""

    kind: str = "conv2d"
    size: tuple[int, int] = (7, 9)
    kernel: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    padding: str = "SAME"
    dilations: tuple[int, int] = (1, 1)
    inputs: int = 3
    outputs: int = 4  # the multiplier of a depthwise convolution
    batch: int = 2
    output_size: tuple[int, int] | None = None

    def __str__(self) -> str:
        """Returns the case as a test's name."""
        pair = "x".join
        parts = [self.kind, self.padding]
        for name in ("size", "kernel", "strides", "dilations"):
            parts.append(f"{name}{pair(map(str, getattr(self, name)))}")
        return "-".join([*parts, f"{self.inputs}to{self.outputs}"])

    def convolution(self, **options) -> Convolution:
        geometry = {"strides": self.strides, "padding": self.padding, "dilations": self.dilations}
        bits = {"A_bits": 8, "W_bits": 8}
        return Convolution(kind=self.kind, error=E2, **geometry | bits | options)

    def tensors(self, per_channel: bool = False, seed: int = 0) -> "Tensors":
        return Tensors(self, per_channel, np.random.default_rng(seed))

    def products(self, n_a, n_w, n_e=None) -> tuple:
        return reference.products(
            self.kind, n_a, n_w, n_e, strides=self.strides, padding=self.padding,
            dilations=self.dilations, size=self.output_size,
        )  # fmt: skip


class Tensors:
    """The operands of a case: integers of 8 bits, steps and a bias."""

    def __init__(self, case: Case, per_channel: bool, rng: np.random.Generator) -> None:
        """Draws them; the error is n_e * S_E, and its encoding with max/127 is n_e again."""
        transposed = case.kind == "transposed"
        channels = [case.outputs, case.inputs] if transposed else [case.inputs, case.outputs]
        axes = {"conv2d": [3], "transposed": [2], "depthwise": [2, 3]}[case.kind]
        self.n_a = rng.integers(-128, 128, [case.batch, *case.size, case.inputs])
        self.n_w = rng.integers(-127, 128, [*case.kernel, *channels])
        step_shape = [self.n_w.shape[i] if i in axes else 1 for i in range(4)]
        self.s_w = np.full([], 2.0**-7)
        if per_channel:
            self.s_w = 2.0 ** rng.integers(-10, -4, step_shape)
        self.forward = case.products(self.n_a, self.n_w)[0]
        self.n_e = rng.integers(-127, 128, self.forward.shape)
        self.n_e[0, 0, 0, 0] = 127
        outputs = self.forward.shape[-1]
        self.s_out = np.broadcast_to(self.s_w.reshape(-1), [outputs])
        self.bias = rng.integers(-64, 64, [outputs]) / 16


def run(convolution: Convolution, t: Tensors, error, output_size=None, bias=True, mode="eager"):
    """Returns the output and the gradients of the input, the kernel and the bias."""

    def step(n_a, s_a, n_w, s_w, b, error):
        with tf.GradientTape() as tape:
            tape.watch([n_a, n_w, b])
            a, w = Quantized(n_a, s_a), Quantized(n_w, s_w)
            y = convolution(a, w, b if bias else None, output_size)
        return y, *tape.gradient(y, [n_a, n_w, b], output_gradients=error)

    arguments = (t.n_a, S_A, t.n_w, t.s_w, t.bias, error)
    results = MODES[mode](step)(*(tf.constant(x, tf.float32) for x in arguments))
    return [None if result is None else result.numpy() for result in results]


def activate(y: np.ndarray, activation: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns (activation(y), where its derivative is 1)."""
    if activation == "linear":
        return y, np.full(y.shape, True)
    most = 6 if activation == "relu6" else np.inf
    return np.clip(y, 0, most), (y > 0) & (y < most)


def check(case: Case, *, per_channel=False, mode="eager", activation="linear", bias=True):
    """Compares one convolution with the loops; the error's largest element is let through."""
    t = case.tensors(per_channel)
    y = t.forward * (S_A * t.s_out) + (t.bias if bias else 0)
    out, passes = activate(y, activation)
    n_e = np.where(passes, t.n_e, 0)
    n_e.reshape(-1)[np.argmax(passes)] = 127
    error = np.where(passes, n_e, t.n_e) * S_E
    convolution = case.convolution(activation=activation)
    got = run(convolution, t, error, case.output_size, bias, mode)

    _, to_input, to_weight = case.products(t.n_a, t.n_w, n_e)
    scaled_error = (n_e * (S_E * t.s_out)).astype(np.float32)
    if per_channel:
        integers, step = reference.scale_encoded(scaled_error, 8, E2.step, reference.half_away)
        to_input = case.products(t.n_a, t.n_w, integers)[1].astype(np.float32) * step
    else:
        to_input = to_input * (S_E * t.s_out[0])
    np.testing.assert_array_equal(got[0], out)
    np.testing.assert_array_equal(got[1], to_input)
    np.testing.assert_array_equal(got[2], to_weight * (S_A * S_E))
    if bias:
        np.testing.assert_array_equal(got[3], n_e.sum(axis=(0, 1, 2)) * S_E)
    else:
        assert got[3] is None
    assert np.any(to_input) and np.any(to_weight)


CONV2D = [
    Case(),
    Case(padding="VALID"),
    Case(kernel=(1, 1)),
    Case(kernel=(2, 3), size=(8, 5)),
    Case(kernel=(5, 1), padding="VALID", batch=1),
    Case(strides=(2, 2)),
    Case(strides=(2, 2), padding="VALID", size=(8, 10)),
    Case(strides=(2, 3), kernel=(2, 4)),
    Case(strides=(3, 1), kernel=(1, 1)),
    Case(strides=(2, 2), kernel=(7, 7), size=(13, 12), outputs=2),
    Case(dilations=(2, 2)),
    Case(dilations=(2, 2), padding="VALID"),
    Case(dilations=(3, 1), kernel=(2, 3)),
    Case(dilations=(2, 3), kernel=(3, 2), size=(11, 8), padding="VALID"),
    Case(dilations=(6, 6), size=(5, 7)),
    Case(inputs=1, outputs=1),
    Case(inputs=32, outputs=17, size=(6, 5)),  # K = 288, below the 1,040 of an exact sum
]
DEPTHWISE = [
    dataclasses.replace(case, kind="depthwise", outputs=multiplier)
    for multiplier in (1, 2)
    for case in (
        Case(),
        Case(padding="VALID", kernel=(2, 3)),
        Case(strides=(2, 2)),
        Case(strides=(2, 2), padding="VALID", size=(8, 6), kernel=(3, 5)),
        Case(dilations=(2, 2)),
        Case(dilations=(2, 3), padding="VALID", size=(8, 11)),
        Case(dilations=(1, 2), kernel=(3, 2)),
    )
]
TRANSPOSED = [
    Case(kind="transposed", output_size=(7, 9)),
    Case(kind="transposed", size=(4, 5), strides=(2, 2), kernel=(4, 4), output_size=(8, 10)),
    Case(kind="transposed", size=(4, 5), strides=(2, 2), output_size=(7, 9)),
    Case(kind="transposed", size=(3, 4), strides=(3, 2), kernel=(2, 5), output_size=(8, 8)),
    Case(
        kind="transposed", size=(4, 5), strides=(2, 2), padding="VALID", output_size=(9, 11),
    ),
    Case(
        kind="transposed", size=(3, 4), strides=(2, 3), padding="VALID", kernel=(4, 2),
        output_size=(9, 11),
    ),
    Case(kind="transposed", size=(2, 3), strides=(8, 8), kernel=(16, 16), output_size=(16, 24)),
    Case(kind="transposed", inputs=1, outputs=1, output_size=(7, 9)),
]  # fmt: skip


@pytest.mark.parametrize("per_channel", [False, True], ids=["scalar", "per_channel"])
@pytest.mark.parametrize("case", CONV2D + DEPTHWISE + TRANSPOSED, ids=str)
def test_products_are_the_integer_sums(case, per_channel):
    check(case, per_channel=per_channel)


SOME = [
    Case(strides=(2, 2), padding="VALID"),
    Case(dilations=(2, 2)),
    Case(kind="depthwise", outputs=2),
    Case(kind="depthwise", outputs=1, dilations=(2, 2), padding="VALID"),
    TRANSPOSED[2],
]


@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize("per_channel", [False, True], ids=["scalar", "per_channel"])
@pytest.mark.parametrize("case", SOME, ids=str)
def test_products_in_graphs_and_xla(case, per_channel, mode):
    check(case, per_channel=per_channel, mode=mode, activation="relu")


@pytest.mark.parametrize("activation", ["linear", "relu", "relu6"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("case", SOME, ids=str)
def test_bias_and_activation(case, bias, activation):
    check(case, activation=activation, bias=bias)


@pytest.mark.parametrize("case", SOME, ids=str)
def test_any_size_in_one_graph(case):
    t = case.tensors()

    @tf.function(
        autograph=False,
        input_signature=[
            tf.TensorSpec([None, None, None, case.inputs]),
            tf.TensorSpec([2], tf.int32),
        ],
    )
    def step(n_a, size):
        with tf.GradientTape() as tape:
            tape.watch(n_a)
            w = Quantized(tf.constant(t.n_w, tf.float32), tf.constant(t.s_w, tf.float32))
            size = tuple(tf.unstack(size)) if case.kind == "transposed" else None
            y = case.convolution()(Quantized(n_a, tf.constant(S_A)), w, output_size=size)
        return y, tape.gradient(y, n_a, output_gradients=tf.ones_like(y) * 127)

    y, to_input = step(tf.constant(t.n_a, tf.float32), case.output_size or (0, 0))
    np.testing.assert_array_equal(y, t.forward * (S_A * 2.0**-7))
    expected = case.products(t.n_a, t.n_w, np.full(t.forward.shape, 127))[1]
    np.testing.assert_array_equal(to_input, expected * 2.0**-7)
