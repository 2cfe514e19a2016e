"""The variants of a piece compute the same: else their times could not be compared."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.kernels.values import needs_own_ops
from tfquantseg.benchmark import kernels_worker, pieces
from tfquantseg.benchmark.kernels_worker import work_of
from tfquantseg.benchmark.pieces import Convolution, Elementwise

TINY = {
    "plain": {},
    "strided": {"stride": 2},
    "dilated": {"dilation": 2},
    "transposed": {"kernel": (4, 4), "stride": 2, "transposed": True},
}


def _tiny(**fields) -> Convolution:
    basic = {"name": "tiny", "about": "", "images": (2, 6, 5, 3), "kernel": (3, 3), "channels": 4}
    return Convolution(**{**basic, **fields})


@needs_own_ops
@pytest.mark.parametrize("product", pieces.PRODUCTS)
@pytest.mark.parametrize("fields", TINY.values(), ids=TINY)
def test_products_by_own_ops_are_tensorflows(fields: dict, product: str) -> None:
    piece = _tiny(**fields)
    expected = work_of(piece, product, "float32")()
    shape = {
        "forward": piece.outputs,
        "input_gradient": piece.images,
        "weight_gradient": piece.weights,
    }[product]
    assert tuple(expected.shape) == shape
    # Equal: sums of integers this small are exact in float32.
    np.testing.assert_array_equal(work_of(piece, product, "own")(), expected)


@pytest.mark.parametrize("product", pieces.PRODUCTS)
@pytest.mark.parametrize("fields", TINY.values(), ids=TINY)
def test_products_in_bfloat16_are_float32s(fields: dict, product: str) -> None:
    piece = _tiny(**fields)
    received = work_of(piece, product, "bfloat16")()
    assert received.dtype == tf.bfloat16
    expected = work_of(piece, product, "float32")()
    # 2**-8: half a step of the result's 8 significant bits, of sums that are exact.
    np.testing.assert_allclose(tf.cast(received, tf.float32), expected, rtol=2**-8)


@needs_own_ops
@pytest.mark.parametrize("name", kernels_worker._ELEMENTWISE)
def test_elementwise_pieces_by_own_ops_are_tensorflows(name: str) -> None:
    (piece,) = (piece for piece in pieces.PIECES if piece.name == name)
    assert isinstance(piece, Elementwise)
    tiny = dataclasses.replace(piece, shape=(2, 3, 4, 8))
    own, stock = (work_of(tiny, None, variant)() for variant in ("own", "float32"))
    own, stock = (
        [np.asarray(one, np.float64) for one in tf.nest.flatten(made) if one is not None]
        for made in (own, stock)
    )
    assert len(own) == len(stock) > 0
    for one, same in zip(own, stock, strict=True):
        # 1e-5: batch norm's sums of some dozen float32 are taken in another order; all else is
        # equal, and a wrong integer would be one whole.
        np.testing.assert_allclose(one, same, rtol=1e-5, atol=1e-5)


@needs_own_ops
def test_variants_are_what_their_names_say() -> None:
    (piece,) = (piece for piece in pieces.PIECES if piece.name == "A_encoding")
    for variant, is_own in (("own", True), ("float32", False)):
        tiny = dataclasses.replace(piece, shape=(1, 1, 1, 8))
        graph = work_of(tiny, None, variant).__closure__[1].cell_contents.graph
        types = {operation.type for operation in graph.get_operations()}
        assert any(kind.startswith("Tfquantseg") for kind in types) == is_own


def test_a_floor_multiplies_matrices_or_copies_all() -> None:
    product = kernels_worker._matrices(tf.bfloat16)()
    assert (product.dtype, product.shape) == (tf.bfloat16, [kernels_worker.MATRIX] * 2)
    copied = kernels_worker._copy(3)
    copied()
    parts = copied.__closure__[0].cell_contents
    assert sum(target.size for target, _ in parts) == kernels_worker.COPIED
    assert all((target == 1).all() for target, _ in parts)
