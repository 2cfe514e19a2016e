"""The optimizer's arithmetic: one step of one master weight, and what stops all of them.

A gradient becomes G, 8-bit integers, as soon as it is known; the update follows when all of them
are, and reads a quarter of the bytes. With own ops it moves the variables in their own memory. The
same step in TensorFlow's ops is their readable twin, takes their place where there are none, and
gives graphs the names of G and U.
"""

from types import ModuleType
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfquantseg import kernels
from tfquantseg.numerics.grids import (
    Quantized,
    Scaled,
    Uniform,
    delta,
    largest_magnitude,
)
from tfquantseg.numerics.rounding import Seed
from tfquantseg.numerics.taps import tap

_INT8_MOST = 127

tf.no_gradient("TfquantsegEncodeGradient")


class Counts(NamedTuple):
    """What one step did to a master weight.

    Attributes:
        lost: how many updates were not zero before Q_U and are zero behind it, a float32 scalar.
        at_limit: how many masters lie on the last value of their grid, a float32 scalar.
    """

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


def encode_gradient(
    gradient: tf.Tensor,
    weight: tf.Tensor,
    *,
    decay: float,
    G: Scaled | None,
    seed: Seed,
    name: str = "weight",
) -> Quantized:
    """Returns (integers, step) of a gradient, G_q = Q_G(G + d W) (Eq 17, 18).

    Args:
        gradient: G, float32 of the weight's shape, the same on all replicas.
        weight: W, float32.
        decay: d, not negative.
        G: the grid of the gradient; None leaves it as it is, with a step of 1.
        seed: two integers, another pair for every variable and step; for a stochastic grid.
        name: the variable's path; in a graph the pair is tapped as name/G.

    Returns:
        A pair; its integers are int8 where own ops made them and int8 holds them, else float32. A
        step of NaN if any element is NaN or infinite, where G is a grid.
    """
    ops = kernels.ops()
    if ops is None or G is None:
        return _encoded_by_stock_ops(gradient, weight, decay, G, seed, name)
    if not tf.executing_eagerly():
        # For the name of G in the graph: it runs only where somebody reads it.
        _encoded_by_stock_ops(gradient, weight, decay, G, seed, name)
    key = tf.stack([tf.cast(part, tf.int64) for part in seed])
    integers, step = ops.tfquantseg_encode_gradient(
        gradient,
        weight,
        key,
        T=tf.int8 if G.attributes()["most"] <= _INT8_MOST else tf.float32,
        decay=decay,
        **G.attributes(),
    )
    return Quantized(integers, step)


def update_weight(
    weight: tf.Variable,
    velocity: tf.Variable | None,
    G: Quantized,
    *,
    applies: tf.Tensor,
    rate: tf.Tensor,
    momentum: float,
    U: Uniform,
    V: Uniform,
    name: str = "weight",
) -> Counts:
    r"""Moves a master weight by one step of descent on grids (Eq 19), and its velocity.

    $$V \leftarrow Q_V(\mu V + lr \cdot G_q), \quad W \leftarrow Clip(W - Q_U(V))$$

    Args:
        weight: W, float32 on the grid U.
        velocity: V, float32 of the weight's shape, or None for no momentum: V is then lr G_q.
        G: the gradient's pair, as `encode_gradient` returns it.
        applies: a boolean scalar; where it is false, neither W nor V changes.
        rate: lr, a float32 scalar.
        momentum: mu, from 0 to below 1.
        U: the grid of weight and update.
        V: the grid of the velocity.
        name: the variable's path; in a graph the update's pair is tapped as name/U.
    """
    ops = kernels.ops()
    arguments = (weight, velocity, G, applies, rate, momentum, U, V)
    if ops is None or U.rounding != V.rounding:
        return _by_stock_ops(*arguments, name)
    if not tf.executing_eagerly():
        # For the name of U, as above.
        _moved(weight, velocity, G, rate, momentum, U, V, name)
    return _by_own_ops(ops, *arguments)


def _encoded_by_stock_ops(
    gradient: tf.Tensor,
    weight: tf.Tensor,
    decay: float,
    G: Scaled | None,
    seed: Seed,
    name: str,
) -> Quantized:
    if decay:
        gradient = gradient + decay * weight
    if G is None:
        return Quantized(gradient, tf.constant(1.0))
    scale = largest_magnitude(gradient)
    integers, step = G.encode(gradient, seed if G.stochastic else None, scale)
    step = tf.where(tf.math.is_finite(scale), step, float("nan"))
    return tap(Quantized(integers, step), name, "G")


def _moved(
    weight: tf.Variable,
    velocity: tf.Variable | None,
    G: Quantized,
    rate: tf.Tensor,
    momentum: float,
    U: Uniform,
    V: Uniform,
    name: str,
) -> tuple[tf.Tensor, tf.Tensor, Counts]:
    """Returns W and V behind the step."""
    move = rate * (tf.cast(G.integers, tf.float32) * G.step)
    if velocity is not None:
        move = V(momentum * tf.convert_to_tensor(velocity) + move)
    update = tap(U.encode(move), name, "U").product()
    most = U.limits_for(weight.shape) * np.float32(1 - delta(U.bits))
    moved = tf.clip_by_value(tf.convert_to_tensor(weight) - update, -most, most)
    lost = _count((move != 0) & (update == 0))
    return moved, move, Counts(lost=lost, at_limit=_count(tf.abs(moved) >= most))


def _by_stock_ops(
    weight: tf.Variable,
    velocity: tf.Variable | None,
    G: Quantized,
    applies: tf.Tensor,
    rate: tf.Tensor,
    momentum: float,
    U: Uniform,
    V: Uniform,
    name: str,
) -> Counts:
    moved, new_velocity, counts = _moved(weight, velocity, G, rate, momentum, U, V, name)
    if velocity is not None:
        velocity.assign(tf.where(applies, new_velocity, tf.convert_to_tensor(velocity)))
    weight.assign(tf.where(applies, moved, tf.convert_to_tensor(weight)))
    return counts


def _by_own_ops(
    ops: ModuleType,
    weight: tf.Variable,
    velocity: tf.Variable | None,
    G: Quantized,
    applies: tf.Tensor,
    rate: tf.Tensor,
    momentum: float,
    U: Uniform,
    V: Uniform,
) -> Counts:
    return Counts(
        *ops.tfquantseg_update(
            weight.handle,
            weight.handle if velocity is None else velocity.handle,
            G.integers,
            G.step,
            applies,
            rate,
            tf.constant(U.limits_for(weight.shape).ravel()),
            tf.constant(V.limits_for(weight.shape).ravel()),
            has_velocity=velocity is not None,
            momentum=momentum,
            update_bits=U.bits,
            velocity_bits=V.bits,
            update_rounding=U.rounding,
            inner=U.inner_size(weight.shape),
        )
    )


def _count(flags: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(flags, tf.float32))
