"""A worker that runs one piece of a training step, by own ops or TensorFlow's, or what floors need.

Each is a traced function of tensors that are there: what is measured is the ops, on as many threads
as a training step has, with outputs that TensorFlow allocates anew as it does in a step.

A floor is what the machine does at most, measured without our ops:

* ``float32`` and ``bfloat16``: a product of square matrices that the caches hold.
* ``copy``: as many threads copy float32 from one array to another, both too large for a cache
  and with their pages in memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from tfquantseg import kernels
from tfquantseg.benchmark import pieces
from tfquantseg.benchmark.peers.answers import Step, serve
from tfquantseg.numerics import (
    encode_error_pair,
    encode_gradient,
    normalize_batch,
    update_weight,
)
from tfquantseg.numerics.products import Geometry, Kind, OwnProducts
from tfquantseg.policy import Policy, preset

MATRIX = 768
"""Rows and columns of each matrix of a floor."""

COPIED = 2**24
"""Elements that are copied for a floor: 64 MiB read and 64 MiB written."""

Work = Callable[[], Any]
Choice = TypeVar("Choice")


def build(
    *,
    threads: int,
    piece: dict[str, Any] | None = None,
    product: str | None = None,
    variant: str | None = None,
    floor: str | None = None,
) -> Step:
    """Returns a function that does the work once and returns 0.

    Args:
        threads: that it may use.
        piece: a piece as `pieces.as_plain` gives it.
        product: which of a convolution's.
        variant: "own", "float32" or "bfloat16".
        floor: in place of a piece, "float32", "bfloat16" or "copy".
    """
    if tf.config.threading.get_intra_op_parallelism_threads() != threads:  # The first question.
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    if floor is not None:
        work = _copy(threads) if floor == "copy" else _matrices(tf.as_dtype(floor))
    else:
        assert piece is not None and variant is not None
        work = work_of(pieces.from_plain(piece), product, variant)

    def step() -> float:
        work()
        return 0.0

    return step


def work_of(piece: pieces.Piece, product: str | None, variant: str) -> Work:
    """Returns what does a piece's work once and returns its tensors.

    Args:
        piece: what to do.
        product: of a convolution, which product; None of an elementwise piece.
        variant: "own" for own ops, "float32" or "bfloat16" for TensorFlow's.
    """
    random = np.random.default_rng(0)
    if isinstance(piece, pieces.Elementwise):
        with kernels.stock() if variant == "float32" else contextlib.nullcontext():
            return _ELEMENTWISE[piece.name](piece.shape, random)
    shapes = (piece.images, piece.weights, piece.outputs)
    operands = [random.integers(-127, 128, shape).astype(np.float32) for shape in shapes]
    if variant == "own":
        return _traced(_own_product(piece, product), [tf.cast(one, tf.int8) for one in operands])
    kept = [tf.cast(one, variant) for one in operands]
    return _traced(_stock_product(piece, product), kept)


def _traced(function: Callable[..., Any], tensors: Sequence[tf.Tensor]) -> Work:
    """Returns the function, traced now, of these tensors."""
    traced = tf.function(function, autograph=False).get_concrete_function(*tensors)
    return lambda: traced(*tensors)


def _own_product(piece: pieces.Convolution, product: str | None) -> Callable[..., Any]:
    """A product by own ops, with its rescaling, and forward the bias: they can't do without."""
    ops = kernels.ops()
    assert ops is not None
    pair, dilations = (piece.stride, piece.stride), (piece.dilation, piece.dilation)
    kind: Kind = "transposed" if piece.transposed else "conv2d"
    products = OwnProducts(Geometry(kind, pair, "SAME", dilations), ops)
    scale, bias = tf.ones([piece.channels]), tf.zeros([piece.channels])
    size = piece.outputs[1:3] if piece.transposed else None

    def multiply(a: tf.Tensor, w: tf.Tensor, e: tf.Tensor) -> tf.Tensor:
        if product == "forward":
            return products.output(a, w, scale, bias, "linear", size)
        if product == "input_gradient":
            return products.input_gradient(a, w, e, tf.constant(1.0))
        return products.weight_gradient(a, w, e, tf.constant(1.0))

    return multiply


def _stock_product(piece: pieces.Convolution, product: str | None) -> Callable[..., Any]:
    """A product by TensorFlow's kernel, and nothing else."""
    attributes = {
        "strides": [1, piece.stride, piece.stride, 1],
        "dilations": [1, piece.dilation, piece.dilation, 1],
        "padding": "SAME",
    }
    # A transposed convolution's forward pass is the gradient of one that makes its image smaller.
    shrinks = product == ("input_gradient" if piece.transposed else "forward")

    def multiply(a: tf.Tensor, w: tf.Tensor, e: tf.Tensor) -> tf.Tensor:
        large, small = (e, a) if piece.transposed else (a, e)
        if shrinks:
            return tf.raw_ops.Conv2D(input=large, filter=w, **attributes)
        if product == "weight_gradient":
            return tf.raw_ops.Conv2DBackpropFilter(
                input=large, filter_sizes=w.shape.as_list(), out_backprop=small, **attributes
            )
        return tf.raw_ops.Conv2DBackpropInput(
            input_sizes=large.shape.as_list(), filter=w, out_backprop=small, **attributes
        )

    return multiply


def _error_encoding(shape: Sequence[int], random: np.random.Generator) -> Work:
    grid = _known(_policy().E2())
    dtype = tf.int8 if kernels.ops() else tf.float32  # as the products take them
    factor = _positive(random, shape[-1:])

    def encode(error: tf.Tensor, passes: tf.Tensor) -> Any:
        return encode_error_pair(error, grid, "layer", passes=passes, factor=factor, dtype=dtype)

    passes = tf.constant(random.random(shape) < 0.5)
    return _traced(encode, [_normal(random, shape), passes])


def _a_encoding(shape: Sequence[int], random: np.random.Generator) -> Work:
    return _traced(_known(_policy().A()).encode, [_normal(random, shape)])


def _w_encoding(shape: Sequence[int], random: np.random.Generator) -> Work:
    grid = _known(_policy().W(_limits(shape), -1))
    return _traced(grid.encode, [_normal(random, shape)])


def _batch_norm(shape: Sequence[int], random: np.random.Generator) -> Work:
    return _traced(_normalized(), [_normal(random, shape), *_scale_and_shift(random, shape)])


def _batch_norm_both_ways(shape: Sequence[int], random: np.random.Generator) -> Work:
    normalized = _normalized()

    def both_ways(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, error: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch((x, gamma, beta))
            y = normalized(x, gamma, beta)
        return y, tape.gradient(y, (x, gamma, beta), error)

    tensors = [_normal(random, shape), *_scale_and_shift(random, shape), _normal(random, shape)]
    return _traced(both_ways, tensors)


def _update(shape: Sequence[int], random: np.random.Generator) -> Work:
    rule = _known(_policy().update_rule(_limits(shape), -1, decays=True))

    weight = tf.Variable(rule.U(_normal(random, shape)))
    velocity = tf.Variable(rule.V(2.0**-8 * _normal(random, shape)))

    def update(gradient: tf.Tensor) -> Any:
        G = encode_gradient(
            gradient, tf.convert_to_tensor(weight), decay=2.0**-12, G=rule.G, seed=(1, 2)
        )
        return update_weight(
            weight,
            velocity,
            G,
            applies=tf.constant(True),
            rate=tf.constant(2.0**-6),
            momentum=0.875,
            U=rule.U,
            V=rule.V,
        )

    return _traced(update, [_normal(random, shape)])


_ELEMENTWISE = {
    "error_encoding": _error_encoding,
    "A_encoding": _a_encoding,
    "W_encoding": _w_encoding,
    "batch_norm": _batch_norm,
    "batch_norm_both_ways": _batch_norm_both_ways,
    "update": _update,
}


def _policy() -> Policy:
    """What is measured is the default's arithmetic."""
    return preset("INTEGER")


def _known(choice: Choice | None) -> Choice:
    """Returns what the default policy has, and others may not."""
    assert choice is not None
    return choice


def _normalized() -> Callable[..., tf.Tensor]:
    policy = _policy()
    mu_grid, sigma_grid = (policy.batch_norm(bits, 8.0) for bits in (policy.k_mu, policy.k_sigma))

    def normalized(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
        return normalize_batch(
            x, gamma, beta, norm="l1", epsilon=1e-3, mu_grid=mu_grid, sigma_grid=sigma_grid
        ).y

    return normalized


def _limits(shape: Sequence[int]) -> tuple[float, ...]:
    """Powers of two, one a channel."""
    return tuple(2.0 ** -(channel % 4) for channel in range(shape[-1]))


def _normal(random: np.random.Generator, shape: Sequence[int]) -> tf.Tensor:
    return tf.constant(random.standard_normal(shape, np.float32))


def _positive(random: np.random.Generator, shape: Sequence[int]) -> tf.Tensor:
    return tf.constant(random.uniform(0.5, 1.5, shape).astype(np.float32))


def _scale_and_shift(random: np.random.Generator, shape: Sequence[int]) -> list[tf.Tensor]:
    return [_positive(random, shape[-1:]), _normal(random, shape[-1:])]


def _matrices(dtype: tf.DType) -> Work:
    random = np.random.default_rng(0)
    pair = [tf.cast(random.standard_normal((MATRIX, MATRIX)), dtype) for _ in range(2)]
    return _traced(tf.matmul, pair)


def _copy(threads: int) -> Work:
    source, target = np.ones(COPIED, np.float32), np.zeros(COPIED, np.float32)
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(lambda part: np.copyto(*part), parts))


if __name__ == "__main__":
    serve(build)
