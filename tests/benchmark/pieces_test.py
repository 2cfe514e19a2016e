"""The pieces: shapes, what they must do, and their way through JSON."""

import json

import pytest

from tfquantseg.benchmark import kernels_worker, pieces
from tfquantseg.benchmark.pieces import Convolution, Elementwise


def _convolution(**fields) -> Convolution:
    basic = {"name": "one", "about": "", "images": (2, 8, 6, 3), "kernel": (3, 3), "channels": 5}
    return Convolution(**{**basic, **fields})


def test_operations_are_counted_by_hand() -> None:
    # 2 x 8 x 6 outputs of 5 channels, each of 3 x 3 x 3 products and as many additions.
    assert _convolution().operations == 2 * (2 * 8 * 6 * 5) * (3 * 3 * 3)
    strided = _convolution(images=(1, 7, 5, 3), stride=2)
    assert strided.outputs == (1, 4, 3, 5)
    assert strided.operations == 2 * (4 * 3 * 5) * 27


def test_a_transposed_convolution_multiplies_each_input_with_the_whole_kernel() -> None:
    piece = _convolution(kernel=(4, 4), stride=2, transposed=True)
    assert (piece.outputs, piece.weights) == ((2, 16, 12, 5), (4, 4, 5, 3))
    assert piece.operations == 2 * (2 * 8 * 6 * 3) * (4 * 4 * 5)


def test_bytes_are_those_of_all_elements() -> None:
    piece = Elementwise(name="one", about="", shape=(2, 3, 4, 5), bytes_each=12)
    assert (piece.elements, piece.bytes) == (120, 1440)


@pytest.mark.parametrize("piece", pieces.PIECES, ids=lambda piece: piece.name)
def test_a_piece_reaches_its_worker_as_json(piece: pieces.Piece) -> None:
    assert pieces.from_plain(json.loads(json.dumps(pieces.as_plain(piece)))) == piece


def test_every_elementwise_piece_can_be_run() -> None:
    named = {piece.name for piece in pieces.PIECES if isinstance(piece, Elementwise)}
    assert named == set(kernels_worker._ELEMENTWISE)


def test_pieces_have_names_of_their_own() -> None:
    assert len({piece.name for piece in pieces.PIECES}) == len(pieces.PIECES)
