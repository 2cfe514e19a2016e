"""The optimizer's arithmetic: one step of one master weight, and what stops all of them.

With own ops a weight is read twice and written once. The same step in TensorFlow's ops is their
readable twin, takes their place where there are none, and gives graphs the names of G and U.
"""

from types import ModuleType
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfquantseg import kernels
from tfquantseg.numerics.grids import Scaled, Seed, Uniform, delta
from tfquantseg.numerics.taps import tap


class Updated(NamedTuple):
    """What one step makes of a master weight.

    Attributes:
        weight: the master behind the step, of its shape.
        velocity: the velocity behind it; None without momentum.
        lost: how many updates were not zero before Q_U and are zero behind it, a float32 scalar.
        at_limit: how many masters lie on the last value of their grid, a float32 scalar.
    """

    weight: tf.Tensor
    velocity: tf.Tensor | None
    lost: tf.Tensor
    at_limit: tf.Tensor


def poisoned(gradient: tf.Tensor, finite: tf.Tensor) -> tf.Tensor:
    """Returns the gradient where ``finite`` is true, and NaN everywhere where it is not.

    Args:
        gradient: float32 tensor of any shape.
        finite: a boolean scalar.
    """
    ops = kernels.ops()
    if ops:
        return ops.tfquantseg_poison(gradient, finite)
    return tf.where(finite, gradient, float("nan"))


def update_weight(
    gradient: tf.Tensor,
    weight: tf.Tensor,
    velocity: tf.Tensor | None,
    *,
    rate: tf.Tensor,
    momentum: float,
    decay: float,
    G: Scaled | None,
    U: Uniform,
    V: Uniform,
    seed: Seed,
    name: str = "weight",
) -> Updated:
    r"""Returns a master weight behind one step of descent on grids (Eq 17 - 19).

    $$G_q = Q_G(G + d W), \quad V \leftarrow Q_V(\mu V + lr \cdot G_q), \quad
    W \leftarrow Clip(W - Q_U(V))$$

    A gradient whose first element is not finite changes neither W nor V.

    Args:
        gradient: G, float32 of the weight's shape, the same on all replicas.
        weight: W, float32 on the grid U.
        velocity: V, float32 of the weight's shape, or None for no momentum: V is then lr G_q.
        rate: lr, a float32 scalar.
        momentum: mu, from 0 to below 1.
        decay: d, not negative.
        G: the stochastic grid of the gradient; None leaves it as it is.
        U: the grid of weight and update.
        V: the grid of the velocity.
        seed: two integers, another pair for every variable and step.
        name: the variable's path; in a graph the pairs are tapped as name/G and name/U.
    """
    arguments = (gradient, weight, velocity, rate, momentum, decay, G, U, V, seed)
    ops = kernels.ops()
    if not ops or (G is not None and not G.stochastic) or U.rounding != V.rounding:
        return _by_stock_ops(*arguments, name)
    if not tf.executing_eagerly():
        # For the names of G and U in the graph: it runs only where somebody reads them.
        _by_stock_ops(*arguments, name)
    return _by_own_ops(ops, *arguments)


def _by_stock_ops(
    gradient: tf.Tensor,
    weight: tf.Tensor,
    velocity: tf.Tensor | None,
    rate: tf.Tensor,
    momentum: float,
    decay: float,
    G: Scaled | None,
    U: Uniform,
    V: Uniform,
    seed: Seed,
    name: str,
) -> Updated:
    applies = tf.math.is_finite(tf.reshape(gradient, [-1])[0])
    if decay:
        gradient = gradient + decay * weight
    if G is not None:
        gradient = tap(G.encode(gradient, seed=seed), name, "G").product()
    move = rate * gradient
    if velocity is not None:
        move = V(momentum * velocity + move)
        velocity = tf.where(applies, move, velocity)
    update = tap(U.encode(move), name, "U").product()
    most = U.limits_for(weight.shape) * np.float32(1 - delta(U.bits))
    moved = tf.clip_by_value(weight - update, -most, most)
    return Updated(
        weight=tf.where(applies, moved, weight),
        velocity=velocity,
        lost=_count((move != 0) & (update == 0)),
        at_limit=_count(tf.abs(moved) >= most),
    )


def _by_own_ops(
    ops: ModuleType,
    gradient: tf.Tensor,
    weight: tf.Tensor,
    velocity: tf.Tensor | None,
    rate: tf.Tensor,
    momentum: float,
    decay: float,
    G: Scaled | None,
    U: Uniform,
    V: Uniform,
    seed: Seed,
) -> Updated:
    grid = G if G is not None else Scaled(2, stochastic=True)  # Attributes that nothing reads.
    moved, new_velocity, lost, at_limit = ops.tfquantseg_update(
        gradient,
        weight,
        tf.zeros([0]) if velocity is None else velocity,
        rate,
        tf.constant(U.limits_for(weight.shape).ravel()),
        tf.constant(V.limits_for(weight.shape).ravel()),
        tf.stack([tf.cast(part, tf.int64) for part in seed]),
        decay=decay,
        momentum=momentum,
        update_bits=U.bits,
        velocity_bits=V.bits,
        update_rounding=U.rounding,
        inner=U.inner_size(weight.shape),
        quantize_gradient=G is not None,
        **grid.attributes(),
    )
    return Updated(moved, None if velocity is None else new_velocity, lost, at_limit)


def _count(flags: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(flags, tf.float32))
