"""The three products of a convolution in groups, against int64 loops group by group, exactly."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

from tests.numerics import reference
from tfquantseg import kernels
from tfquantseg.numerics import Convolution, Quantized, Scaled

E2 = Scaled(8, step="max/127", rounding="half_away")
S_A, S_E = 2.0**-5, 2.0**-9
GROUPS, EACH = 3, 2  # input channels of a group


@pytest.fixture(params=["own", "stock"], autouse=True)
def which_kernels(request):
    """Every test runs with own kernels, where there are any, and with TensorFlow's."""
    with kernels.stock() if request.param == "stock" else contextlib.nullcontext():
        yield


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(
    ("strides", "padding", "dilations"),
    [((1, 1), "SAME", (1, 1)), ((2, 2), "VALID", (1, 1)), ((1, 1), "SAME", (2, 2))],
)
def test_each_group_is_a_convolution_of_its_own(strides, padding, dilations, per_channel) -> None:
    rng = np.random.default_rng(0)
    geometry = {"strides": strides, "padding": padding, "dilations": dilations}
    n_a = rng.integers(-128, 128, [2, 7, 9, GROUPS * EACH])
    n_w = rng.integers(-127, 128, [3, 3, EACH, GROUPS * 4])
    s_w = 2.0 ** rng.integers(-10, -4, [1, 1, 1, GROUPS * 4]) if per_channel else 2.0**-7
    s_w = np.float32(s_w)
    bias = np.float32(rng.integers(-64, 64, [GROUPS * 4]) / 16)
    parts = list(zip(np.split(n_a, GROUPS, -1), np.split(n_w, GROUPS, -1), strict=True))
    sums = [reference.products("conv2d", a, w, None, **geometry)[0] for a, w in parts]
    n_e = rng.integers(-127, 128, [*sums[0].shape[:-1], GROUPS * 4])
    n_e[0, 0, 0, 0] = 127  # so that the error's encoding is n_e again

    bits = {"A_bits": 8, "W_bits": 8}
    convolution = Convolution(kind="conv2d", groups=GROUPS, error=E2, **bits, **geometry)
    a = Quantized(tf.constant(n_a, tf.float32), tf.constant(S_A))
    w = Quantized(tf.constant(n_w, tf.float32), tf.constant(s_w))
    b = tf.constant(bias)
    with tf.GradientTape() as tape:
        tape.watch([a.integers, w.integers, b])
        y = convolution(a, w, b)
    error = tf.constant(n_e * S_E, tf.float32)
    to_a, to_w, to_b = tape.gradient(y, [a.integers, w.integers, b], output_gradients=error)

    s_out = np.broadcast_to(s_w.reshape(-1), [GROUPS * 4])
    # Steps are powers of two and sums stay below 2**24: float32 holds every product exactly.
    np.testing.assert_array_equal(y, np.concatenate(sums, -1) * (S_A * s_out) + bias)
    errors = np.split(n_e, GROUPS, -1)
    found = [
        reference.products("conv2d", a, w, e, **geometry)
        for (a, w), e in zip(parts, errors, strict=True)
    ]
    np.testing.assert_array_equal(to_w, np.concatenate([one[2] for one in found], -1) * S_A * S_E)
    np.testing.assert_array_equal(to_b, n_e.sum((0, 1, 2)) * S_E)
    if not per_channel:  # else the error is quantized again, as in any convolution
        to_input = np.concatenate([one[1] for one in found], -1)
        np.testing.assert_array_equal(to_a, to_input * (S_E * s_w))
    else:
        scaled = n_e * (S_E * s_out)
        n_in, s_in = reference.scale_encoded(scaled, 8, "max/127", reference.half_away)
        found = [
            reference.products("conv2d", a, w, e, **geometry)[1]
            for (a, w), e in zip(parts, np.split(n_in, GROUPS, -1), strict=True)
        ]
        np.testing.assert_array_equal(
            to_a, np.concatenate(found, -1).astype(np.float32) * np.float32(s_in)
        )


@pytest.mark.parametrize(("kind", "groups"), [("depthwise", 2), ("transposed", 3), ("conv2d", 0)])
def test_groups_of_other_kinds_are_refused(kind: str, groups: int) -> None:
    with pytest.raises(ValueError, match=rf"groups is {groups} in a {kind} convolution; accepted"):
        Convolution(kind=kind, groups=groups)
