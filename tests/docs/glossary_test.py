"""Every file that the glossary links is there, and every name is in it."""

import ast
import pathlib
import re
from collections.abc import Iterator

import pytest

PAGE = pathlib.Path("docs/glossary.md")
LINKS = re.findall(r"\[([^\]]+)\]\((?!https://)([^)]+)\)", PAGE.read_text())
NAMES = sorted({(text.strip("`"), path) for text, path in LINKS if text.startswith("`")})


def assigned(body: list[ast.stmt]) -> Iterator[str]:
    """Yields the names that statements bind: functions, classes, variables, fields."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            yield statement.name
        elif isinstance(statement, ast.AnnAssign):
            yield ast.unparse(statement.target)
        elif isinstance(statement, ast.Assign):
            yield from map(ast.unparse, statement.targets)


def names(module: ast.Module) -> set[str]:
    """Returns NAME and CLASS.NAME for all that a module binds, with what classes inherit in it."""
    found = set(assigned(module.body))
    members: dict[str, set[str]] = {}
    for statement in module.body:
        if isinstance(statement, ast.ClassDef):
            bound = set(assigned(statement.body))
            for node in ast.walk(statement):
                if isinstance(node, ast.Assign | ast.AnnAssign):
                    bound |= {name.removeprefix("self.") for name in assigned([node])}
            for base in map(ast.unparse, statement.bases):
                bound |= members.get(base, set())
            members[statement.name] = bound
            found |= {f"{statement.name}.{name}" for name in bound}
    return found


def test_names_are_found_where_they_are_bound() -> None:
    module = ast.parse("""
LIMIT = 2
class Base:
    field: int
    def method(self):
        self.inside = 1
class Thing(Base):
    other = 3
""")
    assert names(module) == {
        "LIMIT", "Base", "Base.field", "Base.method", "Base.inside",
        "Thing", "Thing.other", "Thing.field", "Thing.method", "Thing.inside",
    }  # fmt: skip


@pytest.mark.parametrize("path", sorted({path for _, path in LINKS}))
def test_a_linked_file_is_there(path: str) -> None:
    assert (PAGE.parent / path).is_file()


@pytest.mark.parametrize(("name", "path"), NAMES)
def test_a_name_is_in_the_file_that_it_links(name: str, path: str) -> None:
    assert name in names(ast.parse((PAGE.parent / path).read_text()))


def test_every_number_of_bits_is_in_the_glossary() -> None:
    policy = names(ast.parse(pathlib.Path("tfquantseg/policy/policy.py").read_text()))
    bits = {name for name in policy if name.startswith("Policy.k_")}
    assert len(bits) >= 13
    assert bits <= {name for name, _ in NAMES}
