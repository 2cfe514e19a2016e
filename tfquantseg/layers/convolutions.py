"""Convolution layers whose three products multiply integers: nodes, which own W, bias and E2."""

import math
import zlib
from collections.abc import Sequence
from typing import Any, Literal

import keras
import tensorflow as tf

from tfquantseg.layers.masters import PackedMasters
from tfquantseg.layers.positions import as_rows, without_rows
from tfquantseg.numerics import Convolution, Quantized, encode_value, quantize_gradient
from tfquantseg.policy import Policy

ErrorGrid = Literal["E1", "E2", "none"]


class _QuantConvolution(PackedMasters):
    """What the three kinds share.

    Call arguments:
        pair: (integers [N, H, W, in], step) as `QuantEdge` gives them.

    Returns:
        float32 [N, H', W', out], the output after bias and activation, not yet quantized.

    Attributes:
        policy: where the grids come from.
        kernel: the master weights W_m, on grid(k_U) relative to ``W_limit``.
        bias: the master biases, or None.
        error_grid: which grid the error at the output takes: "E1" at the activation, "E2" at the
            convolution's output, or "none", which leaves it float32.
        A_bits: bits that hold every integer of the input, None if they are not known.
        A_unsigned: whether the input's integers lie on an unsigned grid, 0..2**k_A - 1.
    """

    kind: Literal["conv2d", "depthwise", "transposed"]
    channel_axis: int | tuple[int, ...]

    def __init__(
        self,
        policy: Policy | dict[str, Any],
        *,
        kernel_shape: Sequence[int],
        strides: Sequence[int] = (1, 1),
        padding: str = "valid",
        dilation_rate: Sequence[int] = (1, 1),
        groups: int = 1,
        activation: Literal["linear", "relu", "relu6"] = "linear",
        use_bias: bool = True,
        W_limit: float | Sequence[float] = 1.0,
        bias_limit: float = 1.0,
        error_grid: ErrorGrid = "E2",
        A_bits: int | None = None,
        A_unsigned: bool = False,
        **kwargs: Any,
    ) -> None:
        """Builds the layer of a policy (or of its fields, as a saved file gives them)."""
        super().__init__(**kwargs)
        for field, value, accepted in (
            ("padding", padding.lower(), ("valid", "same")),
            ("error_grid", error_grid, ("E1", "E2", "none")),
        ):
            if value not in accepted:
                raise ValueError(
                    f"{self.name}: {field} must be one of {', '.join(accepted)}, "
                    f"received {value!r}."
                )
        self.policy = policy if isinstance(policy, Policy) else Policy.from_dict(policy)
        self.kernel_shape = tuple(kernel_shape)
        self.strides = (strides[0], strides[1])
        self.padding = padding
        self.dilation_rate = (dilation_rate[0], dilation_rate[1])
        self.groups = groups
        self.activation = activation
        self.use_bias = use_bias
        self.W_limit = W_limit if isinstance(W_limit, float) else tuple(W_limit)
        self.bias_limit = bias_limit
        self.error_grid = error_grid
        self.A_bits = A_bits
        self.A_unsigned = A_unsigned
        error = {"E1": self.policy.E1(), "E2": self.policy.E2(), "none": None}[error_grid]
        self.convolution = Convolution(
            kind=self.kind,
            strides=self.strides,
            padding="SAME" if padding.lower() == "same" else "VALID",
            dilations=self.dilation_rate,
            groups=groups,
            error=error,
            error_at="activation" if error_grid == "E1" else "convolution",
            error_per="vector" if self.policy.E_scale == "per_vector" else "tensor",
            activation=activation,
            A_bits=A_bits,
            W_bits=self.policy.k_W,
            name=self.name,
        )

    @property
    def filters(self) -> int:
        """Number of output channels."""
        axes = (self.channel_axis,) if isinstance(self.channel_axis, int) else self.channel_axis
        return math.prod(self.kernel_shape[axis] for axis in axes)

    def build(self, input_shape: Any) -> None:
        """Makes kernel and bias, and tells the optimizer how to update them."""
        received = input_shape[0][-1]
        expected = self.kernel_shape[3 if self.kind == "transposed" else 2] * self.groups
        if received != expected:
            raise ValueError(
                f"{self.name}: a kernel {self.kernel_shape}"
                f"{f' in {self.groups} groups' if self.groups > 1 else ''} takes {expected} "
                f"channels, received {received}."
            )
        if self.filters % self.groups:
            raise ValueError(
                f"{self.name}: {self.filters} filters do not fall into {self.groups} groups; give "
                "a multiple."
            )
        self.kernel = self.add_weight(shape=self.kernel_shape, name="kernel")
        self.kernel.update_rule = self.policy.update_rule(
            self.W_limit, self.channel_axis, decays=True, in_tape=True
        )
        self.bias: Any = None
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.filters,), name="bias", initializer="zeros")
            self.bias.update_rule = self.policy.update_rule(
                self.bias_limit, -1, decays=False, in_tape=True
            )
        if self.policy.G_at == "tape" and self.policy.k_G is not None:
            self.draws = self.add_weight(
                shape=(), dtype="int64", initializer="zeros", trainable=False, name="draws"
            )
        self.built = True

    def quantized_kernel(self) -> Quantized:
        """Returns W_q as (integers, step): the weights that every product multiplies (Eq 8)."""
        return self._encode_kernel(tf.convert_to_tensor(self.kernel))

    def call(self, pair: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns activation(conv(A, W_q) + b)."""
        kernel, bias = tf.convert_to_tensor(self.kernel), None
        if self.use_bias:
            bias = tf.convert_to_tensor(self.bias)
        grid = self.policy.G() if self.policy.G_at == "tape" else None
        if training and grid is not None:
            self.draws.assign_add(1)
            draw = 2 * tf.convert_to_tensor(self.draws)
            context = tf.distribute.get_replica_context()
            replica = 0 if context is None else context.replica_id_in_sync_group
            salt = zlib.crc32(self.name.encode()) + tf.cast(replica, tf.int64) * 2**32
            kernel = quantize_gradient(kernel, grid, (salt, draw))
            if bias is not None:
                bias = quantize_gradient(bias, grid, (salt, draw + 1))
        weights = encode_value(kernel, self._encode_kernel)
        return self.convolution(Quantized(*pair), weights, bias, self._output_size(pair[0]))

    def _encode_kernel(self, kernel: tf.Tensor) -> Quantized:
        grid = self.policy.W(self.W_limit, self.channel_axis)
        return (
            Quantized(tf.identity(kernel), tf.constant(1.0))
            if grid is None
            else grid.encode(kernel)
        )

    def _output_size(self, integers: tf.Tensor) -> tuple[Any, Any] | None:
        return None

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns [N, H', W', out]; None where the input's size is not known."""
        batch, *sizes, _ = input_shape[0]
        outer = [self._length(size, axis) for axis, size in enumerate(sizes)]
        return (batch, *outer, self.filters)

    def _length(self, size: int | None, axis: int) -> int | None:
        """Returns one output side, as TensorFlow's SAME and VALID define it."""
        if size is None:
            return None
        stride, dilation = self.strides[axis], self.dilation_rate[axis]
        reach = dilation * (self.kernel_shape[axis] - 1) if self.padding.lower() == "valid" else 0
        return -(-(size - reach) // stride)

    def get_config(self) -> dict[str, Any]:
        """Returns what a file needs to build the layer again."""
        config = {
            **super().get_config(),
            "policy": self.policy.to_dict(),
            "kernel_shape": self.kernel_shape,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "activation": self.activation,
            "use_bias": self.use_bias,
            "W_limit": self.W_limit,
            "bias_limit": self.bias_limit,
            "error_grid": self.error_grid,
            "A_bits": self.A_bits,
        }
        # Left out where they are as they were in files of before there was a choice.
        if self.groups > 1:
            config["groups"] = self.groups
        return {**config, "A_unsigned": True} if self.A_unsigned else config


@keras.saving.register_keras_serializable("tfquantseg")
class QuantConv2D(_QuantConvolution):
    """Convolution with kernels [H, W, in, out]: ``Y = conv(n_A, n_W) * (s_A * s_W) + b``."""

    kind = "conv2d"
    channel_axis = 3


@keras.saving.register_keras_serializable("tfquantseg")
class QuantDense(QuantConv2D):
    """A matrix product over the last axis: a 1x1 convolution with kernels [1, 1, in, out].

    Call arguments:
        pair: (integers [N, in], [N, L, in] or [N, H, W, in], step).

    Returns:
        float32 of the same dimensions, out in place of in.
    """

    def call(self, pair: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns activation(A @ W_q + b)."""
        integers, step = pair
        return without_rows(super().call((as_rows(integers), step), training), integers)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input's shape, out in place of in."""
        return (*input_shape[0][:-1], self.filters)


@keras.saving.register_keras_serializable("tfquantseg")
class QuantDepthwiseConv2D(_QuantConvolution):
    """Depthwise convolution with kernels [H, W, in, multiplier]."""

    kind = "depthwise"
    channel_axis = (2, 3)


@keras.saving.register_keras_serializable("tfquantseg")
class QuantConv2DTranspose(_QuantConvolution):
    """Transposed convolution with kernels [H, W, out, in]."""

    kind = "transposed"
    channel_axis = 2

    def _output_size(self, integers: tf.Tensor) -> tuple[Any, Any]:
        dynamic = tf.shape(integers)
        height, width = (integers.shape[axis] or dynamic[axis] for axis in (1, 2))
        return self._length(height, 0), self._length(width, 1)

    def _length(self, size: Any, axis: int) -> Any:
        """Returns one output side, as Keras defines it for 'same' and 'valid'."""
        if size is None:
            return None
        kernel, stride = self.kernel_shape[axis], self.strides[axis]
        beyond = max(kernel - stride, 0) if self.padding.lower() == "valid" else 0
        return size * stride + beyond
