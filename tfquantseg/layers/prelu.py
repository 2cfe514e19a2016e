"""PReLU with a slope a channel, the slopes on a grid of 8 bits as files hold them."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfquantseg.layers.masters import PackedMasters
from tfquantseg.numerics import Uniform, quantize_value
from tfquantseg.policy import Policy


@keras.saving.register_keras_serializable("tfquantseg")
class QuantPReLU(PackedMasters):
    """Returns x where it is not below zero, else ``alpha_q * x``.

    The slopes have a limit and the bits of batch norm's gamma (Eq 14), and masters as it.

    Call arguments:
        x: float32 [N, H, W, C].

    Returns:
        float32 [N, H, W, C].

    Attributes:
        policy: where the grid comes from.
        limit: of the slopes, a power of two.
    """

    def __init__(self, policy: Policy | dict[str, Any], *, limit: float = 1.0, **kwargs: Any):
        """Builds the layer of a policy (or of its fields, as a saved file gives them)."""
        super().__init__(**kwargs)
        self.policy = policy if isinstance(policy, Policy) else Policy.from_dict(policy)
        self.limit = limit
        self._grid = self.policy.batch_norm(self.policy.k_gamma, limit)

    def build(self, input_shape: Any) -> None:
        """Makes the slopes."""
        self.alpha = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="alpha")
        self.alpha.update_rule = self.policy.update_rule(self.limit, -1, decays=False)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x, bent below zero."""
        alpha = tf.convert_to_tensor(self.alpha)
        if self._grid is not None:
            alpha = quantize_value(alpha, self._grid)
        return tf.nn.relu(x) - alpha * tf.nn.relu(-x)

    def quantized_slopes(self) -> tuple[np.ndarray, float]:
        """Returns the integers of the slopes, [C], and their step.

        Raises:
            ValueError: the policy keeps them off a grid of 8 bits.
        """
        if not isinstance(self._grid, Uniform) or self._grid.bits > 8:
            raise ValueError(
                f"{self.name!r}: policy {self.policy.name} keeps slopes off a grid of 8 bits "
                f"(k_gamma={self.policy.k_gamma}); train with k_gamma=8."
            )
        integers, step = self._grid.encode(tf.convert_to_tensor(self.alpha))
        return integers.numpy(), float(step)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns what a file needs to build the layer again."""
        return {**super().get_config(), "policy": self.policy.to_dict(), "limit": self.limit}
