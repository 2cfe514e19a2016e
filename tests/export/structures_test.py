"""Structures of real models, all the way from float layers to a file with its certificate."""

import pytest

from tests.export import structures
from tests.export.whole_way import certified


@pytest.mark.parametrize("body", structures.ONE_IMAGE, ids=lambda body: body.__name__)
def test_a_structure_goes_all_the_way(body) -> None:
    certified(structures.network(body))


def test_x() -> None:
    certified(structures.several())


@pytest.mark.parametrize("seed", range(12))
def test_random_graphs_go_all_the_way(seed: int) -> None:
    certified(structures.random_graph(seed))
