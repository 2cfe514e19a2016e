"""Writes docs/api.md: the public names of tfquantseg, from their docstrings.

    ./bazelw run //build_defs:api_page

Public are the names in `tfquantseg.__all__`; of a module among them, those in its own `__all__` or,
where it has none, what it defines without an underscore. Types are shown as the sources write them.
"""

import ast
import inspect
import os
import pathlib
import re
import textwrap
import types
from collections.abc import Callable, Iterator
from typing import Any

import tfquantseg
from tfquantseg.training import whole

PAGE = "docs/api.md"
_HEAD = """# The Python API

What `import tfquantseg` offers, each name imported when it is first used; classes and functions
first, then modules. `[N, H, W, C]` are batch, height, width and channels. Equations are those of
[arXiv:2011.14504](https://arxiv.org/abs/2011.14504); [the glossary](glossary.md) says what its
letters are called here. The layers that `quantize` inserts are in `tfquantseg.layers`.

This page is made of the docstrings by `./bazelw run //build_defs:api_page`.
"""
_ITEMS = ("Args", "Attributes", "Raises")
_TEXTS = ("Call arguments", "Example", "Returns", "Yields")
_SECTION = re.compile(rf"({'|'.join((*_ITEMS, *_TEXTS))}):")
_ITEM = re.compile(r"(\*{0,2}\w+): ?(.*)")
_DOUBLE = re.compile(r"(?<!`)``(?!`)")
_WIDTH = 96


def page() -> str:
    """Returns the whole page."""
    values = {name: getattr(tfquantseg, name) for name in sorted(tfquantseg.__all__)}
    names = [name for name, value in values.items() if not inspect.ismodule(value)]
    modules = [value for value in values.values() if inspect.ismodule(value)]
    parts = [_HEAD, *(_contents(names, modules))]
    for name in names:
        parts.append(f"## {name}\n\n{entry(f'tfquantseg.{name}', values[name])}")
    for module in modules:
        parts.append(f"## {module.__name__}\n\n{markdown(inspect.getdoc(module) or '')}")
        for name, value in members(module).items():
            parts.append(f"### {name}\n\n{entry(f'{module.__name__}.{name}', value)}")
    return "\n".join(parts)


def public() -> dict[str, Any]:
    """Returns every class and function of the page by the name under which it is reached."""
    found = {}
    for name in tfquantseg.__all__:
        value = getattr(tfquantseg, name)
        if inspect.ismodule(value):
            inside = members(value)
            found |= {f"{value.__name__}.{key}": one for key, one in inside.items()}
        else:
            found[f"tfquantseg.{name}"] = value
    return found


def members(module: types.ModuleType) -> dict[str, Any]:
    """Returns the public classes and functions of a module by name, in alphabetical order."""
    defined = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]
    names = sorted(getattr(module, "__all__", defined))
    values = {name: getattr(module, name) for name in names}
    return {name: value for name, value in values.items() if _is_public(value)}


def entry(path: str, value: Callable[..., Any]) -> str:
    """Returns signature, place, text and methods of a class or function as Markdown."""
    root = pathlib.Path(tfquantseg.__file__).parents[1]
    file = pathlib.Path(inspect.getfile(value)).relative_to(root)
    lines = [f"```python\n{signature(path, value)}\n```", ""]
    lines += [f"Defined in [{file}](../{file}).", "", markdown(inspect.getdoc(value) or "")]
    if methods := list(_methods(value)):
        lines += ["**Methods and properties**", "", *methods, ""]
    return "\n".join(lines)


def signature(path: str, value: Callable[..., Any]) -> str:
    """Returns how a class or function is called, each parameter as its source writes it."""
    source = textwrap.dedent(inspect.getsource(value))
    definition = _definition(value)

    def text(node: ast.AST) -> str:
        return " ".join((ast.get_source_segment(source, node) or "").split())

    if isinstance(definition, ast.FunctionDef):
        parts = _parameters(definition.args, text)
    elif init := [s for s in definition.body if getattr(s, "name", "") == "__init__"]:
        parts = _parameters(init[0].args, text)[1:]
    else:
        keyword_only = "kw_only=True" in "".join(map(text, definition.decorator_list))
        fields = [s for s in definition.body if isinstance(s, ast.AnnAssign)]
        parts = ["*"] * keyword_only + [text(s).split(" = dataclasses.field(")[0] for s in fields]
    arrow = f" -> {text(definition.returns)}" if getattr(definition, "returns", None) else ""
    line = f"{path}({', '.join(parts)}){arrow}"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{path}(", *(f"    {part}," for part in parts), f"){arrow}"])


def documented(docstring: str) -> set[str]:
    """Returns the names of the arguments and attributes that a docstring explains."""
    return {
        match[1].lstrip("*")
        for section, block in _sections(docstring)
        if section in ("Args", "Attributes")
        for match in map(_ITEM.match, block)
        if match
    }


def markdown(docstring: str) -> str:
    """Returns a docstring of Google's form as Markdown: sections with lists in place of indents."""
    parts = []
    for section, block in _sections(docstring):
        if section:
            parts.append(f"**{section}**\n")
        if section in _ITEMS and any(map(_ITEM.match, block)):
            matches = [(_ITEM.match(line), line) for line in block if line]
            parts += [f"- `{m[1]}`: {m[2]}" if m else f"  {line.strip()}" for m, line in matches]
        elif section == "Example":
            parts += ["```python", *block, "```"]
        else:
            parts += block
        parts.append("")
    return _DOUBLE.sub("`", "\n".join(parts))


def main() -> None:
    """Writes the page into the checkout."""
    to = pathlib.Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY", ".")) / PAGE
    whole.write_whole(to, page().encode())
    print(f"Wrote {to}")


def _contents(names: list[str], modules: list[types.ModuleType]) -> Iterator[str]:
    yield " · ".join(f"[{name}](#{name.lower()})" for name in names) + "\n"
    for module in modules:
        anchor = module.__name__.replace(".", "")
        yield f"- [{module.__name__}](#{anchor}): {', '.join(members(module))}"
    yield ""


def _is_public(value: Any) -> bool:
    return inspect.isclass(value) or inspect.isfunction(value)


def _definition(value: Callable[..., Any]) -> ast.FunctionDef | ast.ClassDef:
    """Returns the syntax tree of a class or function."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(value))).body
    assert isinstance(definition, ast.FunctionDef | ast.ClassDef)
    return definition


def _parameters(arguments: ast.arguments, text: Callable[[ast.AST], str]) -> list[str]:
    """Returns the parameters of a function, with annotations and defaults."""
    no_defaults = [None] * (len(arguments.args) - len(arguments.defaults))
    first = list(zip(arguments.args, [*no_defaults, *arguments.defaults], strict=True))
    second = list(zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True))
    parts = [text(arg) + (f" = {text(default)}" if default else "") for arg, default in first]
    parts += ["*"] * bool(second)
    parts += [text(arg) + (f" = {text(default)}" if default else "") for arg, default in second]
    return parts + ([f"**{text(arguments.kwarg)}"] if arguments.kwarg else [])


def _methods(value: Callable[..., Any]) -> Iterator[str]:
    """Yields a list item for each public method and property of a class."""
    definition = _definition(value)
    for method in definition.body if isinstance(definition, ast.ClassDef) else ():
        if not isinstance(method, ast.FunctionDef) or method.name.startswith("_"):
            continue
        docstring = ast.get_docstring(method)
        if docstring is None:
            continue  # a property's setter
        call = f"{method.name}({', '.join(arg.arg for arg in method.args.args[1:])})"
        is_property = any(ast.unparse(d) == "property" for d in method.decorator_list)
        yield f"- `{method.name if is_property else call}`: {docstring.splitlines()[0]}"


def _sections(docstring: str) -> Iterator[tuple[str, list[str]]]:
    """Yields (heading, dedented lines) of a docstring, the text before any heading under ""."""
    heading, block = "", list[str]()
    for line in inspect.cleandoc(docstring).splitlines():
        match = _SECTION.fullmatch(line)
        if match or (heading and line and not line.startswith(" ")):
            yield heading, textwrap.dedent("\n".join(block)).strip("\n").splitlines()
            heading, block = (match[1], []) if match else ("", [line])
        else:
            block.append(line)
    yield heading, textwrap.dedent("\n".join(block)).strip("\n").splitlines()


if __name__ == "__main__":
    main()
