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

import contextlib
import dataclasses
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import tensorflow as tf

from tfquantseg import kernels
from tfquantseg.numerics.fused import largest_by_channel
from tfquantseg.numerics.grids import Per, Quantized, Scaled, Uniform, largest_magnitude
from tfquantseg.numerics.rounding import Seed
from tfquantseg.numerics.taps import tap, tap_rounding


def is_finite(x: tf.Tensor) -> tf.Tensor:
    """Returns whether the sum of a tensor is finite, a boolean scalar, in one pass.

    False if any element is NaN or infinite, in eager execution, graphs and XLA alike. Finite
    values whose sum overflows float32 count as not finite: no 8-bit grid holds their mean.

    Args:
        x: float32 tensor of any shape.
    """
    ops = kernels.ops()
    if ops:
        return ops.tfquantseg_magnitude(x).finite
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
    ops = _ops(grid)
    if ops and error.shape.rank and arrived is None and draws_of is None:
        return _encoded_by(ops, error, grid, name).pair
    seed = None
    if grid.stochastic:
        scale = largest_magnitude(error if draws_of is None else draws_of)
        seed = (zlib.crc32(name.encode()), tf.bitcast(scale, tf.int32))
    integers, step = grid.encode(error, seed)
    finite = is_finite(error if arrived is None else arrived)
    return Quantized(integers, tf.where(finite, step, float("nan")))


class EncodedError(NamedTuple):
    """The error of a convolution, encoded for its backward products.

    Attributes:
        pair: the error as (integers, step).
        scaled: the error times a factor a channel, its own integers and step; None without one.
        sums: the sums of the integers of ``pair``, one a channel, float32 [C].
    """

    pair: Quantized
    scaled: Quantized | None
    sums: tf.Tensor


def encode_error_pair(
    error: tf.Tensor,
    grid: Scaled,
    name: str,
    *,
    passes: tf.Tensor | None = None,
    factor: tf.Tensor | None = None,
    per: Per = "tensor",
    mask_first: bool = True,
    dtype: tf.DType = tf.float32,
) -> EncodedError:
    """Returns the error of a convolution behind an activation, encoded once or twice (Eq 16).

    E_q = SQ(m E) with m the activation's derivative, 0 or 1, and with a factor f a channel
    SQ(m E f) too, which takes the draws of the first, and scales of its own.

    Args:
        error: float32 [..., C].
        grid: how to quantize it.
        name: the layer's name, from which the draws depend.
        passes: m, bool of the error's shape; None where it is 1 everywhere.
        factor: f, float32 [C], or None.
        per: what has a scale of its own in SQ(m E f), as in `Scaled`.
        mask_first: whether m acts before the scale is taken, or on the integers.
        dtype: of the integers, float32, or int8 for a grid of at most 8 bits that is clipped.

    Returns:
        The pairs and the sums. A step is NaN if any element that arrived is NaN or infinite; the
        integers then mean nothing. The sums are exact in own ops, and in stock ones below 2**24.

    Raises:
        ValueError: int8 for a grid whose integers it does not hold.
    """
    if dtype == tf.int8 and grid.attributes()["most"] > 127:
        raise ValueError(f"int8 does not hold the integers of {grid}; use dtype=tf.float32.")
    ops = _ops(grid, per)
    if ops:
        return _encoded_by(ops, error, grid, name, passes, factor, per, mask_first, dtype)
    of_scaled = dataclasses.replace(grid, per=per)

    def encoded(error: tf.Tensor, grid: Scaled, draws_of: tf.Tensor | None = None) -> Quantized:
        if mask_first:
            draws_of = None if draws_of is None else masked(draws_of, passes)
            return encode_error(masked(error, passes), grid, name, error, draws_of)
        integers, step = encode_error(error, grid, name, draws_of=draws_of)
        return Quantized(masked(integers, passes), step)

    def cast(pair: Quantized) -> Quantized:
        return Quantized(tf.cast(pair.integers, dtype), pair.step)

    pair = encoded(error, grid)
    scaled = None if factor is None else cast(encoded(error * factor, of_scaled, draws_of=error))
    sums = tf.reduce_sum(pair.integers, list(range(error.shape.rank - 1)))
    return EncodedError(cast(pair), scaled, sums)


def masked(error: tf.Tensor, passes: tf.Tensor | None) -> tf.Tensor:
    """Returns the error where the activation's derivative is 1, and 0 where it is 0."""
    return error if passes is None else tf.where(passes, error, 0.0)


def _ops(grid: Scaled, per: Per = "tensor") -> ModuleType | None:
    """Returns the own ops if one of them does `encode_error_pair` on this grid."""
    of_tensor = dataclasses.replace(grid, per="tensor")
    several = grid.per == "channel" and per != "channel" and grid.rescale and grid.scale != "one"
    known = of_tensor.own and (several or grid.per == per == "tensor")
    return kernels.ops() if known else None


def _encoded_by(
    ops: ModuleType,
    error: tf.Tensor,
    grid: Scaled,
    name: str,
    passes: tf.Tensor | None = None,
    factor: tf.Tensor | None = None,
    per: Per = "tensor",
    mask_first: bool = True,
    dtype: tf.DType = tf.float32,
) -> EncodedError:
    """Returns what `encode_error_pair` does, by one own op (`kernels/errors*.cc`)."""
    mask = tf.zeros([0], tf.bool) if passes is None else passes
    factors = tf.zeros([0]) if factor is None else factor
    salt = zlib.crc32(name.encode())
    attributes = {"T": dtype, "salt": salt, "mask_first": mask_first, **grid.attributes()}
    if grid.per == "tensor":
        largest = largest_by_channel(error) if passes is None else tf.zeros([0])
        made = ops.tfquantseg_encode_error(error, mask, factors, largest, **attributes)
    else:
        made = ops.tfquantseg_encode_error_by_parts(
            error, mask, factors, scaled_per=per, **attributes
        )
    integers, step, scaled_integers, scaled_step, sums = made
    scaled = None if factor is None else Quantized(scaled_integers, scaled_step)
    return EncodedError(Quantized(integers, step), scaled, sums)


def as_forward(ops: ModuleType | None) -> contextlib.AbstractContextManager[None]:
    """Returns within what a gradient runs: with stock ops only if the forward code had no others.

    A gradient is traced later and elsewhere, where nothing tells that XLA will compile it.

    Args:
        ops: what `kernels.ops` said in the forward code.
    """
    return contextlib.nullcontext() if ops else kernels.stock()


def encode_value(
    x: tf.Tensor,
    encode: Callable[[tf.Tensor], Quantized],
    error: Scaled | None = None,
    name: str = "value",
    within: float | None = None,
) -> Quantized:
    """Quantizes a value; the error passes straight through, onto its own grid if there is one.

    Forward: (integers, step) = encode(x) (Eq 2, 4). Backward: dL/dx = dL/d(integers * step), the
    sum over all consumers, then SQ(., k_E1) when ``error`` is given (Eq 16). With ``within``, the
    derivative of the clip comes first: dL/dx = 0 where ``|x| > within * step``.

    Args:
        x: float32 tensor of any shape.
        encode: a grid's encode, or a function like it.
        error: the grid of the error, or None to pass it on unquantized.
        name: the layer's name; the error's pair is tapped as name/E1.
        within: of a grid whose scale clips, how many steps from zero a value may lie to pass its
            error on; None where every value does, as in the paper.

    Returns:
        The pair (integers, step).
    """
    ops = kernels.ops()

    @tf.custom_gradient
    def act(x: tf.Tensor) -> tuple[Any, Callable[..., Any]]:
        pair = encode(x)
        inside = None if within is None else tf.abs(x) <= within * pair.step  # a byte a value

        def gradient(error_of_value: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
            if inside is not None:
                with as_forward(ops):
                    finite = is_finite(error_of_value)  # what the mask hides counts too
                error_of_value = tf.where(finite, masked(error_of_value, inside), float("nan"))
            if error is None:
                return error_of_value
            with as_forward(ops):
                encoded = encode_error(error_of_value, error, name)
            encoded = tap_rounding(error_of_value, encoded, name, "E1")
            return tap(encoded, name, "E1").product()

        return tuple(pair), gradient

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
    ops = kernels.ops()

    @tf.custom_gradient
    def act(x: tf.Tensor) -> tuple[Any, Callable[..., Any]]:
        def gradient(error: tf.Tensor) -> tf.Tensor:
            with as_forward(ops):
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
