"""Convolutions whose three products multiply integers and rescale once.

With A = n_A * s_A, W = n_W * s_W and the error E = n_E * s_E of the output, all n integers:

* output:           Y  = conv(n_A, n_W) * (s_A * s_W) + b
* input gradient:   E' = convT(n_E, n_W) * (s_E * s_W)
* weight gradient:  G  = corr(n_A, n_E) * (s_A * s_E)

Where s_W is one step a channel of the output, it can't be drawn out of the input gradient's sum
over these channels. The error is then quantized a second time in units of each channel's step,
n_E' * s_E' ~ E * s_W, and the input gradient is convT(n_E', n_W) * s_E'. So both operands of all
three products are integers of at most k bits in every case.

Where the error itself has one step a channel, that step stands outside of the weight gradient's
sums, which run over positions, and inside the input gradient's, which run over channels: there too
the error is quantized a second time, as E * s_W with one step.

Or with as many steps as stand outside of the input gradient's sums too: these run over channels and
taps. So a 1x1 convolution of stride 1 takes a step for each position, a depthwise one for each
channel (and needs no second quantization for it), any other one for each image. That is the
vector-wise quantization of Dettmers et al., arXiv:2208.07339, of both backward products.

Where the error has a flag bit, n_E is ``2**(k-1) * n_large + n_small``, two integers of k bits, and
each backward product is the sum of two: of n_large and of n_small.

Between layers integers travel in float32, and `tfquantseg.numerics.products` says which kernels
multiply them. Through TensorFlow's, a sum of K products of 8-bit integers is exact while its
magnitude stays below 2**24, for certain when K * 127 * 127 < 2**24 (K <= 1040); beyond, it is
rounded as any float32 sum.

Source: arXiv:2011.14504, Figures 4 and 5.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any, Literal, get_args

import tensorflow as tf

from tfquantseg import kernels
from tfquantseg.numerics.activations import Activation, passes
from tfquantseg.numerics.errors import EncodedError, as_forward, encode_error_pair, masked
from tfquantseg.numerics.grids import Per, Quantized, Scaled
from tfquantseg.numerics.products import Geometry, Kind, products
from tfquantseg.numerics.taps import scope, tap, tap_rounding

PRODUCTS = ("forward", "input_gradient", "weight_gradient")

_KERNEL_AXIS = {"conv2d": 3, "transposed": 2}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Convolution:
    """An integer convolution, as a frozen value; calling it computes.

    Attributes:
        kind: "conv2d" with kernels [H, W, in, out], "depthwise" with [H, W, in, multiplier], or
            "transposed" with [H, W, out, in].
        strides: vertical and horizontal stride, pixels.
        padding: "SAME" or "VALID".
        dilations: vertical and horizontal dilation, pixels.
        groups: parts of the channels that do not see each other; a "conv2d" in groups has kernels
            [H, W, in / groups, out].
        error: the grid of the error E that arrives at the output; None leaves it float32, and
            the two backward products are then no integer products.
        error_at: "convolution" quantizes the error after the activation's derivative, at the
            convolution's output; "activation" before it, at the activation's output.
        error_per: what has a scale of its own in the input gradient's error: the whole "tensor", or
            each "vector" that its sums do not run over, as above.
        activation: "linear", "relu" or "relu6", applied after the bias.
        A_bits: bits that hold every integer of the input, None if they are not known; own kernels
            multiply integers that are known to have at most 8.
        W_bits: the same of the kernel.
        name: the layer's name, for graphs and messages; the kernels appear in graphs as
            name/forward, name/input_gradient and name/weight_gradient.
    """

    kind: Kind
    strides: tuple[int, int] = (1, 1)
    padding: Literal["SAME", "VALID"] = "SAME"
    dilations: tuple[int, int] = (1, 1)
    groups: int = 1
    error: Scaled | None = None
    error_at: Literal["convolution", "activation"] = "convolution"
    error_per: Literal["tensor", "vector"] = "tensor"
    activation: Activation = "linear"
    A_bits: int | None = None
    W_bits: int | None = None
    name: str = "convolution"

    def __post_init__(self) -> None:
        """Checks what TensorFlow's kernels would compute wrongly or refuse late."""
        for field, value, accepted in (
            ("kind", self.kind, get_args(Kind)),
            ("padding", self.padding, ("SAME", "VALID")),
            ("error_at", self.error_at, ("convolution", "activation")),
            ("error_per", self.error_per, ("tensor", "vector")),
            ("activation", self.activation, get_args(Activation)),
        ):
            if value not in accepted:
                raise ValueError(
                    f"{self.name}: {field} must be one of {', '.join(accepted)}, "
                    f"received {value!r}."
                )
        if self.dilations != (1, 1) and (self.strides != (1, 1) or self.kind == "transposed"):
            raise ValueError(
                f"{self.name}: dilations {self.dilations} with strides {self.strides} in a "
                f"{self.kind} convolution; dilation needs strides (1, 1) and is not accepted in "
                "a transposed convolution. Convolve with strides and dilate in two layers; in "
                "place of a dilated transposed convolution enlarge with UpSampling2D, then dilate."
            )
        if self.groups < 1 or (self.groups > 1 and self.kind != "conv2d"):
            raise ValueError(
                f"{self.name}: groups is {self.groups} in a {self.kind} convolution; accepted are "
                "1, and more in a conv2d."
            )
        if self.kind == "depthwise" and self.strides[0] != self.strides[1]:
            raise ValueError(
                f"{self.name}: a depthwise convolution needs equal strides, got {self.strides}. "
                "Give one stride for both axes, and pool the other axis behind it."
            )

    def __call__(
        self,
        a: Quantized,
        w: Quantized,
        bias: tf.Tensor | None = None,
        output_size: tuple[int | tf.Tensor, int | tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """Returns activation(conv(A, W) + b), float32 [N, H', W', out].

        Args:
            a: the input, integers [N, H, W, in] and a scalar step.
            w: the kernel, integers and a step that is a scalar or one an output channel.
            bias: float32 [out], or None.
            output_size: H', W' of a transposed convolution.

        Returns:
            The float32 output. Its error is quantized by ``error``; the gradients for the
            integers of ``a`` and ``w`` follow the convention of `tfquantseg.numerics.errors`.
        """
        if (output_size is None) == (self.kind == "transposed"):
            raise ValueError(
                f"{self.name}: a {self.kind} convolution "
                f"{'needs' if output_size is None else 'takes no'} output_size, "
                f"received {output_size!r}."
            )
        outputs = w.integers.shape[-1] * w.integers.shape[-2]
        if self.kind != "depthwise":
            outputs = w.integers.shape[_KERNEL_AXIS[self.kind]]
        if bias is None:
            bias = tf.zeros([outputs])

        ops = kernels.ops()
        forward = products(self._geometry(), _widest(self.A_bits, self.W_bits))
        error_bits = self.error.part_bits if self.error is not None else None
        backward = products(self._geometry(), _widest(self.A_bits, self.W_bits, error_bits))

        @tf.custom_gradient
        def act(
            n_a: tf.Tensor, s_a: tf.Tensor, n_w: tf.Tensor, s_w: tf.Tensor, bias: tf.Tensor
        ) -> tuple[tf.Tensor, Callable[..., Any]]:
            n_a, s_a = tap(Quantized(n_a, s_a), self.name, "A")
            n_w, s_w = tap(Quantized(n_w, s_w), self.name, "W")
            per_channel = s_w.shape.num_elements() > 1
            s_out = tf.reshape(s_w, [outputs] if per_channel else [])
            (kept_a, one_a), (kept_w, one_w) = forward.operand(n_a), forward.operand(n_w)
            s_a, s_out = s_a * one_a, s_out * one_w
            with scope(self.name, "forward"):
                out = forward.output(
                    kept_a, kept_w, s_a * s_out, bias, self.activation, output_size
                )
            where = passes(out, self.activation)
            if forward.dtype != backward.dtype:
                kept_a, kept_w = n_a, n_w

            per = self._input_error_per(n_w.shape)

            def gradient(error: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
                factor = None
                if per != "channel" and (per_channel or self._several_scales(per)):
                    factor = tf.broadcast_to(s_out, [outputs])
                with as_forward(ops):
                    e, e_in, sums = self._encode(error, where, factor, per, backward.dtype)
                s_in = e.step * s_out if e_in is None else e_in.step
                n_e_in = (e if e_in is None else e_in).integers
                s_in, s_in_outside = (
                    (tf.constant(1.0), s_in) if s_in.shape.rank == 4 else (s_in, None)
                )
                with scope(self.name, "input_gradient"):
                    to_input = _total(
                        backward.input_gradient(kept_a, kept_w, part, s_in * times)
                        for part, times in self._parts(n_e_in, backward.dtype)
                    )
                if s_in_outside is not None:
                    to_input *= s_in_outside
                # A step a channel stands outside of the sums over positions.
                s_e, s_e_of_kernel = e.step, None
                if e.step.shape.rank:
                    s_e, s_e_of_kernel = tf.constant(1.0), self._along_outputs(e.step, n_w.shape)
                with scope(self.name, "weight_gradient"):
                    to_weight = _total(
                        backward.weight_gradient(kept_a, kept_w, part, s_a * s_e * times)
                        for part, times in self._parts(e.integers, backward.dtype)
                    )
                if s_e_of_kernel is not None:
                    to_weight *= s_e_of_kernel
                return to_input, None, to_weight, None, sums * e.step

            return out, gradient

        return act(*a, *w, bias)

    def _input_error_per(self, kernel: tf.TensorShape) -> Per:
        """What has a scale of its own in the error that the input gradient multiplies."""
        if self.error is None or self.error_per == "tensor":
            return "tensor"
        if self.kind == "depthwise" and kernel[3] == 1:
            return "channel"
        pointwise = self.kind == "conv2d" and kernel[:2] == self.strides == (1, 1)
        return "position" if pointwise else "image"

    def _several_scales(self, per: Per) -> bool:
        """Whether the weight gradient's error has other scales than the input gradient's."""
        return self.error is not None and self.error.per != per

    def _encode(
        self,
        error: tf.Tensor,
        where: tf.Tensor | None,
        factor: tf.Tensor | None,
        per: Per,
        dtype: tf.DType,
    ) -> EncodedError:
        """The error at the output, and again times W's step where that is one a channel."""
        letter = "E1" if self.error_at == "activation" else "E2"
        if self.error is None:
            error = masked(error, where)
            e = tap(Quantized(error, tf.constant(1.0)), self.name, letter)
            scaled = None if factor is None else Quantized(error * factor, e.step)
            return EncodedError(e, scaled, tf.reduce_sum(error, [0, 1, 2]))
        e, e_in, sums = encode_error_pair(
            error,
            self.error,
            self.name,
            passes=where,
            factor=factor,
            per=per,
            mask_first=self.error_at == "convolution",
            dtype=tf.float32 if self.error.flag else dtype,
        )
        e = tap_rounding(masked(error, where), e, self.name, letter)
        e = tap(e, self.name, letter)
        if e_in is not None:
            e_in = tap(e_in, self.name, f"{letter}_times_W_step")
        return EncodedError(e, e_in, sums)

    def _along_outputs(self, values: tf.Tensor, kernel: tf.TensorShape) -> tf.Tensor:
        """Returns [out] in a shape that multiplies a kernel."""
        if self.kind == "depthwise":
            return tf.reshape(values, kernel[2:])
        return values[:, tf.newaxis] if self.kind == "transposed" else values

    def _parts(self, integers: tf.Tensor, dtype: tf.DType) -> list[tuple[tf.Tensor, float]]:
        """The integers of the error as products multiply them, in turn, with factors."""
        if self.error is None or not self.error.flag:
            return [(integers, 1.0)]
        return [(tf.cast(part, dtype), times) for part, times in self.error.parts(integers)]

    def _geometry(self) -> Geometry:
        return Geometry(self.kind, self.strides, self.padding, self.dilations, self.groups)


def _total(products: Iterable[tf.Tensor]) -> tf.Tensor:
    """Returns the sum of one or more products."""
    return functools.reduce(tf.add, products)


def _widest(*bits: int | None) -> int | None:
    """Returns the most bits, None if any are not known."""
    return None if None in bits else max(one for one in bits if one is not None)
