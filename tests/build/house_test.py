"""Holds the package's imports to the house: numerics -> policy -> layers -> ... -> cli.

Bazel's visibility knows folders only, and Python imports whatever lies in the runfiles, so a part
that is merely a neighbour's dependency could be imported unseen.
"""

import ast
import pathlib
from collections.abc import Iterator

import pytest

MAY_IMPORT: dict[str, set[str]] = {
    "numerics": set(),
    "policy": {"numerics"},
    "layers": {"numerics", "policy"},
    "transform": {"numerics", "policy", "layers"},
    "optimizer": {"numerics", "policy", "layers"},
    "models": set(),
    "data": set(),
    "losses": set(),
    "metrics": set(),
    "schedules": set(),
}
for part in MAY_IMPORT:
    MAY_IMPORT[part].add("names")
MAY_IMPORT["names"] = set()
MAY_IMPORT["training"] = set(MAY_IMPORT)
MAY_IMPORT["analysis"] = set(MAY_IMPORT)
MAY_IMPORT["cli"] = set(MAY_IMPORT)


def part_of(path: pathlib.Path) -> str:
    return path.relative_to("tfquantseg").parts[0].removesuffix(".py")


def imported_parts(source: str) -> Iterator[str]:
    """Yields the parts of tfquantseg that the text of a module imports, at any depth."""
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "Relative imports are not used in this project."
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            first, *rest = name.split(".")
            if first == "tfquantseg" and rest:
                yield rest[0]


def test_imports_are_found_in_every_form() -> None:
    source = """
import tfquantseg.data
import numpy
from tfquantseg import models as m
def late():
    from tfquantseg.layers.edge import QuantEdge
"""
    assert sorted(imported_parts(source)) == ["data", "layers", "models"]


@pytest.mark.parametrize("part", sorted(MAY_IMPORT))
def test_a_part_imports_only_what_stands_to_its_left(part: str) -> None:
    wrong = {
        str(path): sorted(foreign)
        for path in pathlib.Path("tfquantseg").rglob("*.py")
        if part_of(path) == part
        and (foreign := set(imported_parts(path.read_text())) - MAY_IMPORT[part] - {part})
    }
    assert not wrong


def test_every_part_has_its_place_in_the_house() -> None:
    parts = {part_of(path) for path in pathlib.Path("tfquantseg").rglob("*.py")}
    assert parts - {"__init__"} <= set(MAY_IMPORT)
