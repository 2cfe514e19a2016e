"""Where grids act: on values, on errors and on gradients.

A function here is the identity, or a quantizer, in one direction and something else in the other.
These and the integer convolutions are the only custom gradients of the project.

Pairs carry errors by a convention: the gradient that arrives at ``integers`` of a pair is
``dL/d(integers * step)``, the error of the quantized value. ``step`` receives none. So whatever
acts on integers alone and keeps the step (pooling, padding, cropping) passes errors on as it is.

A tensor of errors with a NaN or an infinity in it gets a step of NaN, explicitly: XLA's maximum
drops NaN, and a quotient by infinity is zero, so no scale can be trusted to show it; a sum can. The
NaN spreads into the gradients of the layer at hand and of all layers before it, where
`tfquantseg.optimizer` finds it.
"""

import zlib
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfquantseg.numerics.grids import Quantized, Scaled, Seed, Uniform, largest_magnitude
from tfquantseg.numerics.taps import tap, tap_rounding


def is_finite(x: tf.Tensor) -> tf.Tensor:
    """Returns whether the sum of a tensor is finite, a boolean scalar, in one pass.

    False if any element is NaN or infinite, in eager execution, graphs and XLA alike. Finite
    values whose sum overflows float32 count as not finite: no 8-bit grid holds their mean.

    Args:
        x: float32 tensor of any shape.
    """
    return tf.math.is_finite(tf.reduce_sum(x))


def encode_error(
    error: tf.Tensor,
    grid: Scaled,
    name: str = "error",
    arrived: tf.Tensor | None = None,
    draws_of: tf.Tensor | None = None,
) -> Quantized:
    """Returns (integers, step) of an error, E_q = SQ(E, k_E) (Eq 16); a NaN step if not finite.

    A stochastic grid draws by (name, Scale(E)): the scale is another one in each step, and so the
    draws depend on nothing but the error and need no counter to be kept.

    Args:
        error: float32 tensor of any shape.
        grid: how to quantize it.
        name: the layer's name.
        arrived: the error as it arrived, if ``error`` is what an activation's derivative left of
            it: a NaN that the derivative hides counts too.
        draws_of: another error, of the same shape and name, whose draws to take again.

    Returns:
        A pair whose product is NaN everywhere if any element that arrived is NaN or infinite.
    """
    seed = None
    if grid.stochastic:
        scale = largest_magnitude(error if draws_of is None else draws_of)
        seed = (zlib.crc32(name.encode()), tf.bitcast(scale, tf.int32))
    integers, step = grid.encode(error, seed)
    finite = is_finite(error if arrived is None else arrived)
    return Quantized(integers, tf.where(finite, step, float("nan")))


def encode_value(
    x: tf.Tensor,
    encode: Callable[[tf.Tensor], Quantized],
    error: Scaled | None = None,
    name: str = "value",
) -> Quantized:
    """Quantizes a value; the error passes straight through, onto its own grid if there is one.

    Forward: (integers, step) = encode(x) (Eq 2, 4). Backward: dL/dx = dL/d(integers * step), the
    sum over all consumers, then SQ(., k_E1) when ``error`` is given (Eq 16).

    Args:
        x: float32 tensor of any shape.
        encode: a grid's encode, or a function like it.
        error: the grid of the error, or None to pass it on unquantized.
        name: the layer's name; the error's pair is tapped as name/E1.

    Returns:
        The pair (integers, step).
    """

    @tf.custom_gradient
    def act(x: tf.Tensor) -> tuple[Any, Callable[..., Any]]:
        def gradient(error_of_value: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
            if error is None:
                return error_of_value
            pair = encode_error(error_of_value, error, name)
            pair = tap_rounding(error_of_value, pair, name, "E1")
            return tap(pair, name, "E1").product()

        return tuple(encode(x)), gradient

    return Quantized(*act(x))


def quantize_value(x: tf.Tensor, grid: Uniform | Scaled) -> tf.Tensor:
    """Returns grid(x) with the straight-through error: dL/dx = dL/d(grid(x)).

    Args:
        x: float32 tensor of any shape.
        grid: a deterministic grid.

    Returns:
        The quantized tensor, of x's shape.
    """
    return product(encode_value(x, grid.encode))


def quantize_error(x: tf.Tensor, grid: Scaled, name: str = "error") -> tf.Tensor:
    """Returns x unchanged; its error is quantized: dL/dx = SQ(dL/dy, k_E) (Eq 16).

    Args:
        x: float32 tensor of any shape.
        grid: the grid of the error.
        name: the layer's name; the error's pair is tapped as name/E2.

    Returns:
        x.
    """

    @tf.custom_gradient
    def act(x: tf.Tensor) -> tuple[Any, Callable[..., Any]]:
        def gradient(error: tf.Tensor) -> tf.Tensor:
            pair = tap_rounding(error, encode_error(error, grid, name), name, "E2")
            return tap(pair, name, "E2").product()

        return tf.identity(x), gradient

    return act(x)


def quantize_gradient(w: tf.Tensor, grid: Scaled, seed: Seed) -> tf.Tensor:
    """Returns w unchanged; its gradient is quantized in the tape: G_q = Q_G(G) (Eq 17, 18).

    Args:
        w: float32 tensor, a master weight.
        grid: the stochastic grid of the gradient.
        seed: two integers, another pair for every variable and step.

    Returns:
        w.
    """

    @tf.custom_gradient
    def act(w: tf.Tensor) -> tuple[Any, Callable[..., Any]]:
        def gradient(g: tf.Tensor) -> tf.Tensor:
            return tf.where(is_finite(g), grid(g, seed), float("nan"))

        return tf.identity(w), gradient

    return act(w)


def product(pair: Quantized) -> tf.Tensor:
    """Returns integers * step; the error of the product is, by the convention, the pair's error.

    Args:
        pair: a pair (integers, step).

    Returns:
        float32 tensor of the shape of the integers.
    """

    @tf.custom_gradient
    def act(integers: tf.Tensor, step: tf.Tensor) -> tuple[Any, Callable[..., Any]]:
        return integers * step, lambda error: (error, None)

    return act(*pair)


def round_on_step(x: tf.Tensor, rounding: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Returns rounding(x), for averages of integers that stay on their step; error unchanged.

    Args:
        x: float32 tensor, in steps.
        rounding: `round_half_up` or `round_half_away`.

    Returns:
        float32 tensor of integers, of x's shape.
    """

    @tf.custom_gradient
    def act(x: tf.Tensor) -> tuple[Any, Callable[..., Any]]:
        return rounding(x), lambda error: error

    return act(x)
