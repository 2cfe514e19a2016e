"""The grids on which every number of the method lies.

The words, used throughout the project:

* ``Delta(k) = 2**(1 - k)`` is the step of ``grid(k)``, whose values are ``n * Delta(k)`` with
  ``|n| <= 2**(k - 1) - 1`` (Eq 1).
* A *limit* L is a constant power of two; a limited grid is ``L * grid(k)``.
* A *scale* is a dynamic factor, ``max|x|`` of the tensor at hand (Eq 3).
* A *Quantized* is the pair (integers, step); its product is the quantized tensor.

A grid is a frozen value: grids that are configured equally compare equal and hash equally. Calling
one gives the quantized tensor; ``encode`` gives the pair. Everything is computed in float32, so
that eager execution, graphs and XLA yield the same bits.

Source: arXiv:2011.14504, section III-A.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import tensorflow as tf

from tfquantseg import kernels
from tfquantseg.numerics.fused import ends
from tfquantseg.numerics.rounding import (
    ROUNDINGS,
    Rounding,
    Seed,
    is_seed,
    nearest_power_of_two,
    quotient,
    round_nearest,
    round_stochastic,
)

Step = Literal["max/128", "max/127"]
Scale = Literal["max", "power_of_two", "one"]
Clip = Literal["1-D", "1", "none"]
Per = Literal["tensor", "channel", "position", "image"]

MAX_BITS = 24
"""float32 holds the integers of at most 24 bits exactly."""

MAX_STOCHASTIC_BITS = 22
"""Stochastic rounding compares with draws of 23 bits; one bit of fraction must be left."""

MAX_FLAG_BITS = 12
"""With a flag integers of k bits span 2k - 1."""

_LEAST_SCALE = 2.0**-100
"""A scale below it counts as zero: its step, or a product of two such steps, would underflow."""

# What own ops round has no derivative; where one is wanted, `errors` says what it is.
for _op in ("Magnitude", "Step", "EncodeScaled", "EncodeBytes", "EncodeUniform", "EncodeError"):
    tf.no_gradient(f"Tfquantseg{_op}")


class Quantized(NamedTuple):
    """A quantized tensor as a pair: value = integers * step.

    Attributes:
        integers: float32 tensor that holds integers only, any shape.
        step: float32 tensor that broadcasts against ``integers``; a scalar for one step a tensor.
    """

    integers: tf.Tensor
    step: tf.Tensor

    def product(self) -> tf.Tensor:
        """Returns integers * step, float32, of the shape of ``integers``."""
        return self.integers * self.step


def delta(bits: int) -> float:
    """Returns the step of grid(k), ``Delta(k) = 2**(1 - k)`` (Eq 1)."""
    return 2.0 ** (1 - bits)


def levels(bits: int) -> int:
    """Returns the largest integer of grid(k), ``2**(k - 1) - 1``: 127 for 8 bits."""
    return 2 ** (bits - 1) - 1


def _checked_bits(bits: object, most: int) -> int:
    if not isinstance(bits, int | np.integer) or isinstance(bits, bool) or not 2 <= bits <= most:
        raise ValueError(f"bits must be an integer from 2 to {most}, received {bits!r}.")
    return int(bits)


def _check_flags(grid: "Scaled") -> None:
    for name in ("stochastic", "rescale", "signed", "flag"):
        value = getattr(grid, name)
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be True or False, received {value!r}.")


def _check_choice(name: str, value: str, accepted: Sequence[str]) -> None:
    if value not in accepted:
        raise ValueError(f"{name} must be one of {', '.join(accepted)}, received {value!r}.")


@dataclasses.dataclass(frozen=True)
class Uniform:
    r"""Uniform quantization on a constant grid (Eq 2, and Eq 14 where the limit is not 1).

    $$UQ(x, k) = Clip(\Delta \lfloor x / \Delta + 1/2 \rfloor, -1 + \Delta, 1 - \Delta)$$

    and with a limit L, ``L * UQ(x / L, k)``.

    Example:
        >>> Uniform(bits=8)(tf.constant([0.3, 2.0])).numpy()
        array([0.296875 , 0.9921875], dtype=float32)

    Attributes:
        bits: k, from 2 to 24.
        limit: L, a power of two, or one a channel (any sequence, kept as a tuple of floats).
        rounding: "half_up" is Eq 2's floor(x + 1/2); "half_away" rounds ties away from zero;
            "half_even" to the even neighbour.
        axis: the axis, or the adjacent axes, of x along which a vector of limits lies.

    Raises:
        ValueError: bits outside 2..24, a limit that is not a power of two, an unknown rounding.
    """

    bits: int
    limit: float | tuple[float, ...] = 1.0
    rounding: Rounding = "half_up"
    axis: int | tuple[int, ...] = -1

    def __post_init__(self) -> None:
        """Checks the fields and keeps a vector of limits as a tuple."""
        object.__setattr__(self, "bits", _checked_bits(self.bits, MAX_BITS))
        _check_choice("rounding", self.rounding, ROUNDINGS)
        try:
            array = np.asarray(self.limit, np.float64)
        except (TypeError, ValueError):
            array = np.empty(0)
        if isinstance(self.limit, str | bool):
            array = np.empty(0)
        if array.ndim > 1 or array.size == 0:
            raise ValueError(f"limit must be a number or a vector, received {self.limit!r}.")
        for limit in array.ravel().tolist():
            if not (2.0**-100 <= limit <= 2.0**100 and math.frexp(limit)[0] == 0.5):
                raise ValueError(
                    f"a limit must be a power of two from 2**-100 to 2**100, received {limit!r}."
                )
        frozen = float(array) if array.ndim == 0 else tuple(array.tolist())
        object.__setattr__(self, "limit", frozen)
        if isinstance(self.axis, list):
            object.__setattr__(self, "axis", tuple(self.axis))

    def limits_for(self, shape: Sequence[int | None]) -> np.ndarray:
        """Returns L as a float32 array that broadcasts against a tensor of this shape.

        Raises:
            ValueError: a vector of limits whose length is not that of the axes it lies along.
        """
        if isinstance(self.limit, float):
            return np.asarray(self.limit, np.float32)
        axes = (self.axis,) if isinstance(self.axis, int) else self.axis
        rank = len(shape)
        inside = [axis % rank for axis in axes if -rank <= axis < rank]
        broadcast = [(shape[i] or 0) if i in inside else 1 for i in range(rank)]
        if len(inside) < len(axes) or math.prod(broadcast) != len(self.limit):
            raise ValueError(
                f"{len(self.limit)} limits along axis {self.axis} do not fit a tensor of shape "
                f"{tuple(shape)}: give one limit, or one a channel of that axis."
            )
        return np.asarray(self.limit, np.float32).reshape(broadcast)

    def inner_size(self, shape: Sequence[int | None]) -> int:
        """Returns the number of elements of a tensor of this shape behind the limits' axes."""
        if isinstance(self.limit, float):
            return 1
        sizes = self.limits_for(shape).shape
        last = max((axis for axis, size in enumerate(sizes) if size > 1), default=len(shape) - 1)
        return math.prod(size or 0 for size in list(shape)[last + 1 :])

    def encode(self, x: tf.Tensor) -> Quantized:
        """Returns (integers, step) with step = L * Delta(k) and |integers| <= 2**(k-1) - 1."""
        x = tf.convert_to_tensor(x, tf.float32)
        step = self.limits_for(x.shape) * np.float32(delta(self.bits))
        most = float(levels(self.bits))
        ops = kernels.ops()
        if ops and (isinstance(self.limit, float) or x.shape.is_fully_defined()):
            integers = ops.tfquantseg_encode_uniform(
                x,
                step.ravel(),
                most=most,
                inner=self.inner_size(x.shape),
                rounding=self.rounding,
            )
            return Quantized(integers, tf.constant(step))
        integers = round_nearest(tf.clip_by_value(x * (1 / step), -most, most), self.rounding)
        return Quantized(integers, tf.constant(step))

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Returns L * UQ(x / L, k), float32, of x's shape."""
        return self.encode(x).product()


@dataclasses.dataclass(frozen=True)
class Scaled:
    r"""Scale quantization with the dynamic factor ``Scale(x) = max|x|`` (Eq 3).

    $$SQ(x, k) = Scale(x) \cdot UQ(x / Scale(x), k)$$ (Eq 4), and with stochastic rounding RQ
    (Eq 5, 6) in UQ's place $Scale(x) \cdot RQ(x / Scale(x), k)$ (Eq 17) or, without rescaling,
    $RQ(x / Scale(x), k)$ (Eq 18).

    A tensor of zeros, or of a scale below 2**-100, gives zeros. SQ with step "max/128" clips its
    maximum to 1 - Delta and is not idempotent: derive a scale once and hand on the pair. "max/127"
    clips nothing.

    The last three fields are for the code of the paper's authors, which differs from its equations.

    Attributes:
        bits: k, from 2 to 24, to 22 when stochastic.
        step: "max/128" is the paper's step ``max * Delta(k)``; "max/127" is
            ``max / (2**(k-1) - 1)``. Both are named for 8 bits.
        stochastic: RQ in UQ's place; calls then need a seed.
        rescale: False leaves the scale out of the step (Eq 18).
        rounding: of the deterministic kind, as in `Uniform`.
        scale: "max" is Eq 3; "power_of_two" is ``2**round(log2(max|x|))``; "one" is 1, no scale.
        clip: "1-D" is Eq 2's, |integers| <= 2**(k-1) - 1; "1" lets them reach 2**(k-1), one bit
            more than k; "none" clips nothing.
        gain: a factor on the step, of quantized gradients.
        signed: False spends the bit of the sign on values: integers 0..2**k - 1 of a step of
            ``max / (2**k - 1)``, or ``max / 2**k``; for tensors that hold nothing below zero.
        flag: True gives each value one bit more, a flag: it counts *large* steps D, those of the
            grid without flags, or if the value is smaller than D *small* ones of ``D * 2**(1-k)``.
            The pair's step is the small one, so that integers need 2k - 1 bits; but they are
            ``n * 2**(k-1)`` or n, with n of k bits, and `parts` takes them apart. From WAGEUBN,
            arXiv:1909.02384.
        per: what has a scale, so a step, of its own: the "tensor", whose step is a scalar; each
            "channel", step [C]; each "position" of a [N, H, W, C], step [N, H, W, 1]; each "image",
            step [N, 1, 1, 1].

    Raises:
        ValueError: bits out of range, an unknown choice, a gain that is not positive, a flag
            together with another choice that it does not go with.
    """

    bits: int
    step: Step = "max/128"
    stochastic: bool = False
    rescale: bool = True
    rounding: Rounding = "half_up"
    scale: Scale = "max"
    clip: Clip = "1-D"
    gain: float = 1.0
    signed: bool = True
    flag: bool = False
    per: Per = "tensor"

    def __post_init__(self) -> None:
        """Checks the fields."""
        _check_flags(self)
        most = MAX_STOCHASTIC_BITS if self.stochastic else MAX_BITS
        object.__setattr__(self, "bits", _checked_bits(self.bits, most))
        _check_choice("step", self.step, ("max/128", "max/127"))
        _check_choice("scale", self.scale, ("max", "power_of_two", "one"))
        _check_choice("clip", self.clip, ("1-D", "1", "none"))
        if not (isinstance(self.gain, int | float) and 0 < self.gain < math.inf):
            raise ValueError(f"gain must be a positive number, received {self.gain!r}.")
        _check_choice("rounding", self.rounding, ROUNDINGS)
        _check_choice("per", self.per, get_args(Per))
        if self.flag and not (self.signed and self.rescale and self.clip != "none"):
            raise ValueError("flag needs signed=True, rescale=True and a clip.")
        if self.flag and self.bits > MAX_FLAG_BITS:
            raise ValueError(
                f"with a flag bits must be from 2 to {MAX_FLAG_BITS}, received {self.bits}."
            )

    @property
    def divisor(self) -> float:
        """How many steps the scale is long: for 8 bits 128 or 127, unsigned 256 or 255."""
        return float(self._levels + (1 if self.step == "max/128" else 0))

    @property
    def most(self) -> float:
        """The largest integer; infinite where nothing is clipped."""
        return self._last * self._fine

    @property
    def _last(self) -> float:
        """The largest number of large steps."""
        if self.clip == "none":
            return math.inf
        return float(self._levels + (1 if self.clip == "1" else 0))

    @property
    def _fine(self) -> float:
        """How many small steps a large one has; 1 without flags."""
        return 2.0 ** (self.bits - 1) if self.flag else 1.0

    @property
    def _levels(self) -> int:
        return levels(self.bits if self.signed else self.bits + 1)

    @property
    def integer_bits(self) -> int | None:
        """Bits of two's complement that hold every integer; None where nothing is clipped."""
        bits = self.part_bits
        return None if bits is None else bits + (self.bits - 1 if self.flag else 0)

    @property
    def part_bits(self) -> int | None:
        """The same of what `parts` returns: what products multiply."""
        bits = self.bits if self.signed else self.bits + 1
        return {"1-D": bits, "1": bits + 1, "none": None}[self.clip]

    @property
    def own(self) -> bool:
        """Whether own ops (`kernels/grid.h`) know this grid."""
        return self.signed and not self.flag and self.per == "tensor"

    def parts(self, integers: tf.Tensor) -> tuple[tuple[tf.Tensor, float], ...]:
        """Returns pairs (integers of `part_bits`, factor), whose products sum up to ``integers``.

        One pair without flags. With them two, of the large steps and of the small ones: each value
        is in one and 0 in the other. So a product of integers is the sum of two, each of k bits.

        Args:
            integers: float32, of a pair on this grid.
        """
        if not self.flag:
            return ((integers, 1.0),)
        large = tf.abs(integers) >= self._fine
        return (
            (tf.where(large, integers / self._fine, 0.0), self._fine),
            (tf.where(large, 0.0, integers), 1.0),
        )

    def attributes(self) -> dict[str, Any]:
        """Returns what the own ops that encode on this grid must know (`kernels/grid.h`)."""
        return {
            "divisor": self.divisor,
            "most": self.most,
            "gain": self.gain,
            "constant_step": 0.0 if self.rescale else self.gain / self.divisor,
            "scale_kind": self.scale,
            "rounding": "stochastic" if self.stochastic else self.rounding,
        }

    def encode(
        self, x: tf.Tensor, seed: Seed | None = None, scale: tf.Tensor | float | None = None
    ) -> Quantized:
        """Returns (integers, step), the step as ``per`` says; |integers| <= 2**(k-1) - 1 (Eq 2).

        Args:
            x: tensor of any rank; [..., C] where ``per`` is not "tensor".
            seed: two integers, for stochastic rounding only.
            scale: a scalar to use in place of max|x|; values beyond it are clipped.

        Raises:
            ValueError: a seed is missing for stochastic rounding, or given without it, or is not
                two integers; the scale is no scalar, or a number that is negative or not finite.
        """
        if self.stochastic != (seed is not None):
            need = "needs seed=(a, b)" if self.stochastic else "takes no seed"
            raise ValueError(f"{self} {need}, received {seed!r}.")
        if seed is not None and not is_seed(seed):
            raise ValueError(f"seed must be two integers (a, b), received {seed!r}.")
        if isinstance(scale, int | float | np.number) and not 0 <= scale < math.inf:
            raise ValueError(f"scale must be finite and not negative, received {scale!r}.")
        x = tf.convert_to_tensor(x, tf.float32)
        if scale is not None:
            most = tf.convert_to_tensor(scale, tf.float32)
            if most.shape.rank:
                raise ValueError(f"scale must be a scalar, received one of shape {most.shape}.")
        else:
            most = self._scales(x)
        ops = kernels.ops() if self.own else None
        if ops:
            key = [] if seed is None else [tf.cast(part, tf.int64) for part in seed]
            attributes = self.attributes()
            integers = ops.tfquantseg_encode_scaled(
                x, most, tf.stack(key) if key else tf.zeros([0], tf.int64), **attributes
            )
            return Quantized(integers, ops.tfquantseg_step(most, **attributes))
        unit = self._unit(most)
        frozen = not tf.executing_eagerly() and tf.get_static_value(most) is not None
        ratio = (quotient(x, unit) if frozen else x / unit) * self.divisor
        if self.flag:
            small = tf.abs(ratio) < 1
            steps = tf.where(small, ratio * self._fine, self._clipped(ratio))
            if seed is None:
                rounded = round_nearest(steps, self.rounding)
            else:
                rounded = round_stochastic(steps, seed)
            integers = tf.where(small, rounded, rounded * self._fine)
            return Quantized(integers, self._step(unit) / self._fine)
        if seed is not None:
            integers = self._clipped(round_stochastic(ratio, seed))
        else:
            integers = round_nearest(self._clipped(ratio), self.rounding)
        return Quantized(integers, self._step(unit))

    def _scales(self, x: tf.Tensor) -> tf.Tensor:
        """Scale(x) = max|x| (Eq 3) of the tensor, or of each of its parts."""
        if self.per == "tensor":
            return largest_magnitude(x)
        axes = {
            "channel": range(x.shape.rank - 1),
            "position": [-1],
            "image": range(1, x.shape.rank),
        }
        return tf.reduce_max(tf.abs(x), list(axes[self.per]), keepdims=self.per != "channel")

    def _unit(self, scale: tf.Tensor) -> tf.Tensor:
        if self.scale == "one":
            return tf.constant(1.0)
        unit = tf.where(scale >= _LEAST_SCALE, scale, 1.0)
        return unit if self.scale == "max" else nearest_power_of_two(unit)

    def _clipped(self, steps: tf.Tensor) -> tf.Tensor:
        if self.signed and self.clip == "none":
            return steps
        return tf.clip_by_value(steps, -self._last if self.signed else 0.0, self._last)

    def _step(self, unit: tf.Tensor) -> tf.Tensor:
        if not self.rescale:
            return tf.constant(self.gain / self.divisor, tf.float32)
        step = quotient(unit, tf.constant(self.divisor))
        return step if self.gain == 1 else step * np.float32(self.gain)

    def __call__(self, x: tf.Tensor, seed: Seed | None = None) -> tf.Tensor:
        """Returns integers * step, float32, of x's shape."""
        return self.encode(x, seed).product()


def largest_magnitude(x: tf.Tensor) -> tf.Tensor:
    """Returns Scale(x) = max|x| (Eq 3), a float32 scalar; 0 for an empty tensor."""
    ops = kernels.ops()
    if ops:
        return ops.tfquantseg_magnitude(ends(ops, x)).most
    return tf.maximum(tf.maximum(tf.reduce_max(x), -tf.reduce_min(x)), 0.0)
