r"""Batch norm's arithmetic, and its gradient in closed form.

With D = sigma_q + epsilon, N pixels a channel and e = dL/dy, the sums over batch, height and width:

* forward:  ``y = gamma (x - mu_q) / D + beta``
* backward: ``dL/dgamma = sum(e x_hat)``, ``dL/dbeta = sum(e)``,
  ``dL/dsigma = -gamma / D dL/dgamma``, ``dL/dmu = -gamma / D sum(e) - dL/dsigma mean(s)``,
  ``dL/dx = gamma / D e + dL/dsigma s / N + dL/dmu / N``

where s, the derivative of sigma's sum, is ``sign(x - mu)`` for the mean absolute deviation and
``(x - mu) / sigma`` for the standard one. Errors pass straight through the grids of mu and sigma.
For the backward pass numbers a channel are kept, and x; or, where x is the output of an own int8
convolution in a graph, not even that: it is convolved again, which costs less than its memory.

Own ops do this in three passes over x forward and two backward. Where there are none, and where
statistics are those of several replicas, TensorFlow's ops compute and differentiate it.

Source: arXiv:2011.14504, Eq 10 - 14.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any, Literal, NamedTuple

import tensorflow as tf

from tfquantseg import kernels
from tfquantseg.numerics.errors import quantize_value
from tfquantseg.numerics.fused import arrived
from tfquantseg.numerics.grids import Uniform
from tfquantseg.numerics.products import convolved_again

Norm = Literal["l1", "l2"]


class Normalized(NamedTuple):
    """A batch, normalized.

    Attributes:
        y: float32 of the input's shape.
        mu: the batch's mean, of all replicas, float32 [C]; not yet on its grid.
        sigma: its deviation, likewise.
    """

    y: tf.Tensor
    mu: tf.Tensor
    sigma: tf.Tensor


def normalize_batch(
    x: tf.Tensor,
    gamma: tf.Tensor | None = None,
    beta: tf.Tensor | None = None,
    *,
    norm: Norm,
    epsilon: float,
    mu_grid: Uniform | None,
    sigma_grid: Uniform | None,
) -> Normalized:
    """Returns gamma (x - mu_q) / (sigma_q + epsilon) + beta with the batch's own statistics.

    Args:
        x: float32 [N, H, W, C].
        gamma: float32 [C], or None for 1.
        beta: float32 [C], or None for 0.
        norm: "l1" for sigma the mean absolute deviation (Eq 13), "l2" for the standard one (Eq 11).
        epsilon: added to sigma_q.
        mu_grid: where mu_q lies; None leaves mu as it is.
        sigma_grid: where sigma_q lies, likewise.

    Returns:
        y with its gradient, and the statistics, which carry none where own ops computed them.
    """
    ops = kernels.ops()
    if ops and _replicas() == 1:
        gamma = tf.ones(x.shape[-1:]) if gamma is None else gamma
        beta = tf.zeros(x.shape[-1:]) if beta is None else beta
        return Normalized(*_by_own_ops(ops, x, gamma, beta, norm, epsilon, mu_grid, sigma_grid))
    mu = _across_replicas(tf.reduce_mean(x, [0, 1, 2]))
    sigma = _deviation(x - mu, norm)
    y = _by_stock_ops(x, _on(mu_grid, mu), _on(sigma_grid, sigma) + epsilon, gamma, beta)
    return Normalized(y, mu, sigma)


def normalize(
    x: tf.Tensor,
    mu: tf.Tensor,
    divisor: tf.Tensor,
    gamma: tf.Tensor | None = None,
    beta: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns gamma (x - mu) / divisor + beta, with statistics that are constants.

    Args:
        x: float32 [N, H, W, C].
        mu: float32 [C].
        divisor: sigma_q + epsilon, float32 [C].
        gamma: float32 [C], or None for 1.
        beta: float32 [C], or None for 0.
    """
    ops = kernels.ops()
    if not ops:
        return _by_stock_ops(x, mu, divisor, gamma, beta)

    @tf.custom_gradient
    def act(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tuple[Any, Callable[..., Any]]:
        def gradient(error: tf.Tensor) -> Any:
            e, step, relu = arrived(ops, error, y)
            to_x, to_gamma, to_beta, _ = ops.tfquantseg_normalize_gradient(
                x, mu, divisor, gamma, beta, mu, divisor, e, step, norm="frozen", relu=relu
            )
            return to_x, to_gamma, to_beta

        y = ops.tfquantseg_normalize(x, mu, divisor, gamma, beta)
        return y, gradient

    ones, zeros = tf.ones(x.shape[-1:]), tf.zeros(x.shape[-1:])
    return act(x, ones if gamma is None else gamma, zeros if beta is None else beta)


def _by_own_ops(
    ops: ModuleType,
    x: tf.Tensor,
    gamma: tf.Tensor,
    beta: tf.Tensor,
    norm: Norm,
    epsilon: float,
    mu_grid: Uniform | None,
    sigma_grid: Uniform | None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    @tf.custom_gradient
    def act(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tuple[Any, Callable[..., Any]]:
        mu = ops.tfquantseg_channel_statistics(x).means
        if norm == "l1":
            sigma = ops.tfquantseg_channel_means(x, mu, of="magnitude")
        else:
            sigma = tf.sqrt(ops.tfquantseg_channel_means(x, mu, of="square"))
        mu_q, divisor = _on(mu_grid, mu), _on(sigma_grid, sigma) + epsilon

        def gradient(error: tf.Tensor, *_: tf.Tensor) -> Any:
            e, step, relu = arrived(ops, error, y)
            again = convolved_again(ops, x, e)
            to_x, to_gamma, to_beta, _ = ops.tfquantseg_normalize_gradient(
                again, mu_q, divisor, gamma, beta, mu, sigma, e, step, norm=norm, relu=relu
            )
            return to_x, to_gamma, to_beta

        y = ops.tfquantseg_normalize(x, mu_q, divisor, gamma, beta)
        return (y, mu, sigma), gradient

    return act(x, gamma, beta)


def _by_stock_ops(
    x: tf.Tensor,
    mu: tf.Tensor,
    divisor: tf.Tensor,
    gamma: tf.Tensor | None,
    beta: tf.Tensor | None,
) -> tf.Tensor:
    y = (x - mu) / divisor
    y = y if gamma is None else y * gamma
    return y if beta is None else y + beta


def _deviation(centred: tf.Tensor, norm: Norm) -> tf.Tensor:
    if norm == "l1":
        return _across_replicas(tf.reduce_mean(tf.abs(centred), [0, 1, 2]))
    variance = _across_replicas(tf.reduce_mean(tf.square(centred), [0, 1, 2]))
    # The square root's derivative at 0 is infinite: a constant channel keeps sigma = 0.
    positive = variance > 0
    return tf.where(positive, tf.sqrt(tf.where(positive, variance, 1.0)), 0.0)


def _on(grid: Uniform | None, value: tf.Tensor) -> tf.Tensor:
    return value if grid is None else quantize_value(value, grid)


def _replicas() -> int:
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def _across_replicas(mean: tf.Tensor) -> tf.Tensor:
    if _replicas() == 1:
        return mean
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, mean)
