"""QuantEdge: owns A and E1 of one tensor between layers, or of several that share one step."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import keras
import tensorflow as tf

from tfquantseg.numerics import (
    Quantized,
    encode_value,
    product,
    scale_of,
    tap_rounding,
)
from tfquantseg.policy import Policy

RUNNING_MOMENTUM = 0.95
"""Share of the old estimate of max|x| that one training step keeps."""

Scales = Literal["running", "dynamic"]


@keras.saving.register_keras_serializable("tfquantseg")
class QuantEdge(keras.layers.Layer):
    """Quantizes activations on one step, and the error of each onto a step of its own.

    ``A_q = SQ(A, k_A)`` (Eq 15) and backward ``E1_q = SQ(E1, k_E1)`` (Eq 16), the error summed
    over all consumers before it is quantized. While training the scale is max|A| of the batch,
    or the smaller one that the policy's ``A_scale`` names, of all tensors that are tied the
    largest; a running estimate of it is kept for evaluation, which uses "running" scales, or
    "dynamic" ones if `set_evaluation_scales` says so (or if nothing has been estimated yet).
    `hold_scales` makes training use the estimate too, which then stays.

    Where ``A_scale`` clips, a value more than half a step beyond the last integer gets no error:
    its quantized value does not change with it.

    Call arguments:
        x: a float32 tensor or, for a tied edge, a list of them.
        training: whether the scale is the batch's and the running estimate moves.

    Returns:
        (integers, step), or (integers of the first, ..., integers of the last, step).

    Attributes:
        policy: where the grids come from.
        error_policies: of each tensor, where the grid of its error comes from.
        quantize_error: of each tensor, whether E1 is quantized here; False where the convolution
            before the edge quantizes the very same error itself.
        fixed_scale: the constant scale of an input that lies on a grid, or of a function whose
            scale devices prescribe; None elsewhere.
        non_negative: whether no tensor holds values below zero, so that a policy may take an
            unsigned grid for them; with a fixed scale they have one.
        evaluation_scales: "running" or "dynamic".
        held: whether training uses the running estimate as it is.
    """

    def __init__(
        self,
        policy: Policy | dict[str, Any],
        *,
        quantize_error: Sequence[bool] = (True,),
        error_policies: Sequence[Policy | dict[str, Any]] | None = None,
        fixed_scale: float | None = None,
        non_negative: bool = False,
        **kwargs: Any,
    ) -> None:
        """Builds the edge of a policy (or of its fields, as a saved file gives them).

        Without `error_policies` all errors take that policy's grid.
        """
        super().__init__(**kwargs)
        self.policy = _policy(policy)
        self.quantize_error = tuple(quantize_error)
        self.error_policies = (
            (self.policy,) * len(self.quantize_error)
            if error_policies is None
            else tuple(map(_policy, error_policies))
        )
        self.fixed_scale = fixed_scale
        self.evaluation_scales: Scales = "running"
        self.held = False
        self.non_negative = non_negative
        self._A = self.policy.A(non_negative=non_negative)
        if self._A is not None and fixed_scale is not None:
            self._A = dataclasses.replace(self._A, signed=not non_negative)

    @property
    def unsigned(self) -> bool:
        """Whether the integers are 0..2**k - 1."""
        return self._A is not None and not self._A.signed

    @property
    def fixed_step(self) -> float | None:
        """The constant step, 128 or unsigned 256 of which are the fixed scale; None elsewhere."""
        if self.fixed_scale is None:
            return None
        return self.fixed_scale / (256.0 if self.unsigned else 128.0)

    def build(self, input_shape: Any) -> None:
        """Makes the running estimate of the scale."""
        if self.fixed_scale is None:
            self.running_scale = self.add_weight(
                shape=(),
                initializer="zeros",
                trainable=False,
                name="running_scale",
                aggregation="mean",
            )
        self.built = True

    def call(self, x: Any, training: bool = False) -> tuple[tf.Tensor, ...]:
        """Returns the integers of each tensor, and their step."""
        tensors = [tf.cast(t, tf.float32) for t in (x if isinstance(x, list | tuple) else [x])]
        if len(tensors) != len(self.quantize_error):
            raise ValueError(
                f"{self.name}: quantize_error names {len(self.quantize_error)} tensors, received "
                f"{len(tensors)}."
            )
        scale = self._scale(tensors, training)

        def encode(value: tf.Tensor) -> Quantized:
            pair = self._encode(value, scale)
            return pair if self._A is None else tap_rounding(value, pair, self.name, "A")

        pairs = [
            encode_value(tensor, encode, policy.E1() if here else None, self.name, self._within())
            for tensor, here, policy in zip(
                tensors, self.quantize_error, self.error_policies, strict=True
            )
        ]
        return (*(pair.integers for pair in pairs), pairs[0].step)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of each tensor's integers, and that of the step."""
        shapes = input_shape if isinstance(input_shape, list) else [input_shape]
        return (*(tuple(shape) for shape in shapes), ())

    def _encode(self, x: tf.Tensor, scale: tf.Tensor) -> Quantized:
        if self._A is None:
            return Quantized(tf.identity(x), tf.constant(1.0))
        if self.fixed_step is not None:
            # The device's whole range: 128 steps below zero, 127 above; or 255 above.
            step = tf.constant(self.fixed_step)
            least = 0.0 if self.unsigned else -128.0
            integers = tf.clip_by_value(tf.round(x / step), least, least + 255.0)
            return Quantized(tf.where(tf.math.is_finite(x), integers, float("nan")), step)
        return self._A.encode(x, scale=scale)

    def _within(self) -> float | None:
        """How many steps from zero a value passes its error on; None where all do."""
        clips = self.policy.A_scale != "max" and self.fixed_scale is None
        return self._A.most + 0.5 if clips and self._A is not None else None

    def _scale(self, tensors: list[tf.Tensor], training: bool) -> tf.Tensor:
        if self.fixed_scale is not None or self._A is None:
            return tf.constant(0.0)
        dynamic = scale_of(tensors[0], self.policy.A_scale)
        for tensor in tensors[1:]:
            dynamic = tf.maximum(dynamic, scale_of(tensor, self.policy.A_scale))
        dynamic = tf.stop_gradient(dynamic)
        running = tf.convert_to_tensor(self.running_scale)
        if training and not self.held:
            moved = RUNNING_MOMENTUM * running + (1 - RUNNING_MOMENTUM) * dynamic
            followed = tf.where(running > 0, moved, dynamic)
            # One batch that is not finite must not spoil what evaluation uses ever after.
            self.running_scale.assign(tf.where(tf.math.is_finite(dynamic), followed, running))
            return dynamic
        if self.evaluation_scales == "dynamic" and not training:
            return dynamic
        return tf.where(running > 0, running, dynamic)

    def get_config(self) -> dict[str, Any]:
        """Returns what a file needs to build the edge again."""
        config = {
            **super().get_config(),
            "policy": self.policy.to_dict(),
            "quantize_error": self.quantize_error,
            "fixed_scale": self.fixed_scale,
        }
        # What follows is left out where it is as in files of before there was a choice.
        if self.non_negative:
            config["non_negative"] = True
        if set(self.error_policies) != {self.policy}:
            config["error_policies"] = [policy.to_dict() for policy in self.error_policies]
        return config


def _policy(given: Policy | dict[str, Any]) -> Policy:
    return given if isinstance(given, Policy) else Policy.from_dict(given)


@keras.saving.register_keras_serializable("tfquantseg")
class Product(keras.layers.Layer):
    """Returns integers * step of a pair, for layers that compute in float32."""

    def call(self, pair: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Returns a float32 tensor of the shape of the integers."""
        return product(Quantized(*pair))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the integers."""
        return input_shape[0]


def set_evaluation_scales(model: keras.Model, scales: Scales) -> None:
    """Chooses which activation scales a quantized model uses outside training.

    While training, the scale of an activation is max|A| of the batch. Call this before the model
    predicts for the first time: a function that has been traced keeps what it was traced with.

    Args:
        model: a quantized model; a float one has no scales and stays as it is.
        scales: "running", the default, for the estimate that training kept, as an exported file
            has it; "dynamic" for each batch's own.

    Raises:
        ValueError: another word.
    """
    if scales not in ("running", "dynamic"):
        raise ValueError(f"scales must be 'running' or 'dynamic', received {scales!r}.")
    for layer in model.layers:
        if isinstance(layer, QuantEdge):
            layer.evaluation_scales = scales


def hold_scales(model: keras.Model, scales: Mapping[str, float] | None = None) -> None:
    """Makes the activation scales of a quantized model constants, in training too.

    Call this before the model trains or predicts: a function that has been traced keeps what it was
    traced with. A saved file keeps the scales, and forgets that they are held.

    Args:
        model: a quantized model.
        scales: max|A| by the name of its `QuantEdge`, positive; an edge that is not named keeps the
            running estimate of training.

    Raises:
        ValueError: a name is that of no edge with an estimate, or a scale is not positive and
            finite.
    """
    edges = {
        layer.name: layer
        for layer in model.layers
        if isinstance(layer, QuantEdge) and layer.fixed_scale is None
    }
    for name, scale in (scales or {}).items():
        if name not in edges:
            raise ValueError(
                f"{name!r} is no edge of model {model.name!r} whose scale is estimated; accepted "
                f"are {', '.join(edges) or 'none: it is a float model'}."
            )
        if not 0 < scale < math.inf:
            raise ValueError(f"{name!r}: scales are positive and finite, received {scale!r}.")
        edges[name].running_scale.assign(scale)
    for edge in edges.values():
        edge.held = True
