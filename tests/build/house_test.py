"""Holds every import to the house, the table of build_defs/house.bzl.

Bazel's visibility knows folders only, and Python imports whatever lies in the runfiles, so a part
that is merely a neighbour's dependency could be imported unseen.
"""

import ast
import pathlib
from collections.abc import Iterator

import pytest


def table() -> dict[str, list[str]]:
    """Returns MAY_IMPORT of build_defs/house.bzl, which is read as Python."""
    for statement in ast.parse(pathlib.Path("build_defs/house.bzl").read_text()).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets) == "MAY_IMPORT":
            return ast.literal_eval(statement.value)
    raise ValueError("build_defs/house.bzl has no MAY_IMPORT.")


# What stands outside the package: recipes import nothing of it, commands only their mains. The
# package itself imports its names when they are asked for, none before.
OUTSIDE = {"configs": [], "tools": ["cli"], "tfquantseg/__init__.py": []}
MAY_IMPORT = table()


def imported(source: str) -> Iterator[str]:
    """Yields the parts that a module imports: in functions, for types only, by a name in a string.

    What can't be told apart (the package itself, a relative import) is yielded as it is written.
    """
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
            ("import_module", "__import__")
        ):
            literals = [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
            names = literals or []
        for name in names:
            package, _, rest = name.partition(".")
            if package == "tfquantseg":
                yield rest.split(".")[0] or name


def wrong_imports(root: pathlib.Path) -> dict[str, list[str]]:
    """Returns, by file, the imports that the house forbids in a tree."""
    wrong = {}
    for file in sorted(root.rglob("*.py")):
        path = file.relative_to(root)
        if path.parts[0] not in ("configs", "tfquantseg", "tools"):
            continue
        part = str(path) if str(path) in OUTSIDE else path.parts[0]
        if part == "tfquantseg":
            part = path.parts[1].removesuffix(".py")
        allowed = {part, *OUTSIDE.get(part, MAY_IMPORT.get(part, []))}
        if foreign := set(imported(file.read_text())) - allowed:
            wrong[str(path)] = sorted(foreign)
    return wrong


def test_no_import_goes_the_wrong_way() -> None:
    assert wrong_imports(pathlib.Path()) == {}


def test_every_part_has_its_row() -> None:
    paths = [path.relative_to("tfquantseg") for path in pathlib.Path("tfquantseg").rglob("*.py")]
    parts = {path.parts[0].removesuffix(".py") for path in paths}
    assert parts - {"__init__"} <= set(MAY_IMPORT)
    assert {"numerics", "cli"} <= parts


def test_a_row_names_rows_above_it_only() -> None:
    parts = list(MAY_IMPORT)
    for place, (part, allowed) in enumerate(MAY_IMPORT.items()):
        assert set(allowed) <= set(parts[:place]), part


@pytest.mark.parametrize(
    ("path", "source", "found"),
    [
        ("tfquantseg/numerics/sly.py", "import tfquantseg.policy", "policy"),
        ("tfquantseg/numerics/sly.py", "def f():\n    from tfquantseg.layers import x", "layers"),
        ("tfquantseg/numerics/deep/sly.py", "from tfquantseg import policy as p", "policy"),
        ("tfquantseg/models/sly.py", "if TYPE_CHECKING:\n    import tfquantseg.layers", "layers"),
        ("tfquantseg/data/sly.py", "importlib.import_module('tfquantseg.models')", "models"),
        ("tfquantseg/losses.py", "__import__('tfquantseg.metrics')", "metrics"),
        ("tfquantseg/transform/sly.py", "from tfquantseg.optimizer import IntegerSGD", "optimizer"),
        ("tfquantseg/optimizer.py", "from tfquantseg.transform.plan import Plan", "transform"),
        ("tfquantseg/training/sly.py", "from tfquantseg.analysis import audit", "analysis"),
        ("tfquantseg/training/sly.py", "import tfquantseg", "tfquantseg"),
        ("tfquantseg/training/sly.py", "from tfquantseg import quantize", "quantize"),
        ("tfquantseg/training/sly.py", "from ..cli import train", "from ..cli import train"),
        ("tfquantseg/no_row.py", "from tfquantseg.numerics import tap", "numerics"),
        ("tfquantseg/__init__.py", "from tfquantseg.policy import Policy", "policy"),
        ("configs/sly.py", "from tfquantseg.policy import INTEGER", "policy"),
        ("tools/sly.py", "from tfquantseg.training.loop import train", "training"),
    ],
)
def test_an_import_the_wrong_way_is_found(
    tmp_path: pathlib.Path, path: str, source: str, found: str
) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(source)
    assert wrong_imports(tmp_path) == {path: [found]}


def test_an_import_the_right_way_is_allowed(tmp_path: pathlib.Path) -> None:
    for path, source in (
        ("tfquantseg/layers/fine.py", "import numpy\nfrom tfquantseg.numerics import tap"),
        ("tfquantseg/layers/also.py", "from tfquantseg.layers.fine import tap"),
        ("tfquantseg/cli/fine.py", "def f():\n    from tfquantseg.analysis import audit"),
        ("tools/fine.py", "from tfquantseg.cli.fine import f"),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(source)
    assert wrong_imports(tmp_path) == {}
