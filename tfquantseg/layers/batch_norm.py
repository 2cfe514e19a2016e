"""Batch normalization with the L1 or L2 deviation, its five objects on their grids."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfquantseg.layers.masters import PackedMasters
from tfquantseg.layers.positions import as_rows, without_rows
from tfquantseg.numerics import (
    Uniform,
    normalize,
    normalize_batch,
    quantize_error,
    quantize_value,
)
from tfquantseg.policy import Policy


@keras.saving.register_keras_serializable("tfquantseg")
class BatchNorm(PackedMasters):
    r"""Batch norm over the last axis.

    $$\hat x = (x - \mu_q) / (\sigma_q + \epsilon), \quad y = \gamma_q \hat x_q + \beta_q$$
    (Eq 12, 14) where mu is the mean (Eq 10) and sigma the mean absolute deviation (Eq 13, norm
    "l1") or the standard deviation (Eq 11, norm "l2") over batch, height and width, of all
    replicas. All arithmetic is float32 on these grids; in a file it folds into the convolution.

    Call arguments:
        x: float32 [N, H, W, C], or [N, L, C] or [N, C].
        training: whether the batch's own statistics are used and the moving ones follow.

    Returns:
        float32 of x's shape.

    Attributes:
        policy: where the grids come from; its limits for mu, sigma, gamma and beta are given as
            ``mu_limit`` ... because "fit" has been resolved from the weights taken over.
        momentum: share of the old moving statistics that one training step keeps.
        clipped: share of the channels whose mu or sigma was clipped in the last training step.
        epsilon: added to sigma, as in Eq 12 (not to the variance).
        quantize_error: whether E2 is quantized at x_hat.
    """

    def __init__(
        self,
        policy: Policy | dict[str, Any],
        *,
        mu_limit: float = 2.0,
        sigma_limit: float = 2.0,
        gamma_limit: float = 2.0,
        beta_limit: float = 2.0,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        quantize_error: bool = False,
        **kwargs: Any,
    ) -> None:
        """Builds the layer of a policy (or of its fields, as a saved file gives them)."""
        super().__init__(**kwargs)
        self.policy = policy if isinstance(policy, Policy) else Policy.from_dict(policy)
        self.limits = {
            "mu_limit": mu_limit,
            "sigma_limit": sigma_limit,
            "gamma_limit": gamma_limit,
            "beta_limit": beta_limit,
        }
        self.momentum = momentum
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.quantize_error = quantize_error
        self._mu = self.policy.batch_norm(self.policy.k_mu, mu_limit)
        self._sigma = self.policy.batch_norm(self.policy.k_sigma, sigma_limit)
        self._gamma = self.policy.batch_norm(self.policy.k_gamma, gamma_limit)
        self._beta = self.policy.batch_norm(self.policy.k_beta, beta_limit)

    def build(self, input_shape: Any) -> None:
        """Makes gamma, beta and the moving statistics."""
        shape = (input_shape[-1],)
        self.gamma: Any = None
        self.beta: Any = None
        if self.scale:
            self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma")
            self.gamma.update_rule = self.policy.update_rule(
                self.limits["gamma_limit"], -1, decays=False
            )
        if self.center:
            self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta")
            self.beta.update_rule = self.policy.update_rule(
                self.limits["beta_limit"], -1, decays=False
            )
        self.moving_mu = self.add_weight(
            shape=shape, initializer="zeros", trainable=False, name="moving_mu", aggregation="mean"
        )
        self.moving_sigma = self.add_weight(
            shape=shape,
            initializer="ones",
            trainable=False,
            name="moving_sigma",
            aggregation="mean",
        )
        self.clipped = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="clipped", aggregation="mean"
        )
        self.built = True

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns gamma_q * x_hat_q + beta_q; a frozen layer uses its moving statistics."""
        gamma = _on(self._gamma, tf.convert_to_tensor(self.gamma)) if self.scale else None
        beta = _on(self._beta, tf.convert_to_tensor(self.beta)) if self.center else None
        x_hat_grid = self.policy.x_hat()
        error_grid = self.policy.E2() if self.quantize_error else None
        if x_hat_grid is None and error_grid is None:
            return self._normalized(x, gamma, beta, training)
        x_hat = self._normalized(x, None, None, training)
        if x_hat_grid is not None:
            x_hat = quantize_value(x_hat, x_hat_grid)
        if error_grid is not None:
            x_hat = quantize_error(x_hat, error_grid, self.name)
        x_hat = x_hat if gamma is None else x_hat * gamma
        return x_hat if beta is None else x_hat + beta

    def _normalized(
        self, like: tf.Tensor, gamma: tf.Tensor | None, beta: tf.Tensor | None, training: bool
    ) -> tf.Tensor:
        """Returns gamma * x_hat + beta; in training the moving statistics follow."""
        x = as_rows(like)
        if not (training and self.trainable):
            mu = _on(self._mu, tf.convert_to_tensor(self.moving_mu))
            sigma = _on(self._sigma, tf.convert_to_tensor(self.moving_sigma))
            return without_rows(normalize(x, mu, sigma + self.epsilon, gamma, beta), like)
        y, mu, sigma = normalize_batch(
            x,
            gamma,
            beta,
            norm=self.policy.norm,
            epsilon=self.epsilon,
            mu_grid=self._mu,
            sigma_grid=self._sigma,
        )
        self._follow(self.moving_mu, mu)
        self._follow(self.moving_sigma, sigma)
        self.clipped.assign(self._share_clipped(mu, sigma))
        return without_rows(y, like)

    def quantized_statistics(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Returns mu_q, sigma_q, gamma_q and beta_q of evaluation (Eq 14), float32 [C] each."""
        channels = self.moving_mu.shape
        gamma = tf.convert_to_tensor(self.gamma) if self.scale else tf.ones(channels)
        beta = tf.convert_to_tensor(self.beta) if self.center else tf.zeros(channels)
        return (
            _on(self._mu, tf.convert_to_tensor(self.moving_mu)).numpy(),
            _on(self._sigma, tf.convert_to_tensor(self.moving_sigma)).numpy(),
            (_on(self._gamma, gamma) if self.scale else gamma).numpy(),
            (_on(self._beta, beta) if self.center else beta).numpy(),
        )

    def _share_clipped(self, mu: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
        """Returns the share of the channels whose mu or sigma lies beyond its limit."""
        beyond = tf.zeros_like(mu, tf.bool)
        if self._mu is not None:
            beyond |= tf.abs(mu) > self.limits["mu_limit"]
        if self._sigma is not None:
            beyond |= sigma > self.limits["sigma_limit"]
        return tf.reduce_mean(tf.cast(beyond, tf.float32))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input's shape."""
        return input_shape

    def _follow(self, moving: keras.Variable, batch: tf.Tensor) -> None:
        old = tf.convert_to_tensor(moving)
        followed = self.momentum * old + (1 - self.momentum) * tf.stop_gradient(batch)
        # One batch that is not finite must not spoil what evaluation uses ever after.
        moving.assign(tf.where(tf.math.is_finite(batch), followed, old))

    def get_config(self) -> dict[str, Any]:
        """Returns what a file needs to build the layer again."""
        return {
            **super().get_config(),
            "policy": self.policy.to_dict(),
            **self.limits,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "quantize_error": self.quantize_error,
        }


def clipped_statistics(model: keras.Model) -> dict[str, float]:
    """Returns, by batch norm's name, the share of channels clipped in the last training step.

    Only layers that clipped any are listed. Their limits are too small for what they see: use a
    larger ``BN_limit``.
    """
    shares = {
        layer.name: float(layer.clipped.numpy())
        for layer in model.layers
        if isinstance(layer, BatchNorm)
    }
    return {name: share for name, share in shares.items() if share > 0}


def deviation_ratio(norm: str) -> float:
    """Returns sigma_norm / sigma_L2 of a normal distribution: sqrt(2 / pi) for "l1", else 1."""
    return math.sqrt(2 / math.pi) if norm == "l1" else 1.0


def _on(grid: Uniform | None, value: tf.Tensor) -> tf.Tensor:
    return value if grid is None else quantize_value(value, grid)
