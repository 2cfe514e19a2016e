"""The API page: that it says what the docstrings say, and that they say what a stranger needs."""

import dataclasses
import inspect
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from build_defs import api_page

PUBLIC = api_page.public()


def add(first: int, *, second: int = 2**4, **others: int) -> int:
    """Returns the sum.

    Of ``first`` and more:

        a + b

    Args:
        first: one number,
            on two lines.
        second: another.
        **others: more of them.

    Example:
        >>> add(1)
        17

    Returns:
        A number.
    """
    return first + second + sum(others.values())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pen:
    """A pen."""

    colour: str
    tips: tuple[int, ...] = dataclasses.field(repr=False)
    width: float = 1.5


def test_the_page_is_up_to_date() -> None:
    mend = "run ./bazelw run //build_defs:api_page"
    assert pathlib.Path(api_page.PAGE).read_text() == api_page.page(), mend


@pytest.mark.parametrize("name", PUBLIC)
def test_every_parameter_is_explained(name: str) -> None:
    explained = api_page.documented(inspect.getdoc(PUBLIC[name]) or "")
    assert set(inspect.signature(PUBLIC[name]).parameters) <= explained


@pytest.mark.parametrize("name", PUBLIC)
def test_every_result_is_explained(name: str) -> None:
    value = PUBLIC[name]
    if inspect.isclass(value) or inspect.signature(value).return_annotation in (None, "None"):
        return
    docstring = inspect.getdoc(value) or ""
    assert docstring.startswith("Returns ") or "\nReturns:\n" in docstring


def test_a_public_name_of_each_kind_is_there() -> None:
    assert {
        "tfquantseg.quantize",
        "tfquantseg.IntegerSGD",
        "tfquantseg.data.load",
        "tfquantseg.losses.softmax_cross_entropy",
    } <= set(PUBLIC)
    assert "tfquantseg.losses.unknown_name" not in PUBLIC  # imported there, not defined


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (add, "it(first: int, *, second: int = 2**4, **others: int) -> int"),
        (Pen, "it(*, colour: str, tips: tuple[int, ...], width: float = 1.5)"),
    ],
)
def test_a_signature_is_that_of_the_source(value: Callable[..., Any], expected: str) -> None:
    assert api_page.signature("it", value) == expected


def test_a_long_signature_has_a_parameter_a_line() -> None:
    name = "a" * 60
    assert api_page.signature(name, add).splitlines() == [
        f"{name}(",
        "    first: int,",
        "    *,",
        "    second: int = 2**4,",
        "    **others: int,",
        ") -> int",
    ]


def test_a_docstring_becomes_markdown() -> None:
    text = """Returns the sum.

Of `first` and more:

    a + b

**Args**

- `first`: one number,
  on two lines.
- `second`: another.
- `**others`: more of them.

**Example**

```python
>>> add(1)
17
```

**Returns**

A number.
"""
    assert api_page.markdown(inspect.getdoc(add)) == text
    assert api_page.documented(inspect.getdoc(add)) == {"first", "second", "others"}


def test_methods_and_properties_are_listed() -> None:
    text = api_page.entry("Policy", PUBLIC["tfquantseg.Policy"])
    assert "Defined in [tfquantseg/policy/policy.py](../tfquantseg/policy/policy.py)." in text
    methods = text.split("**Methods and properties**\n")[1]
    assert "\n- `is_float`: Whether nothing is quantized" in methods
    assert "\n- `from_dict(fields)`: Returns the policy with these fields.\n" in methods
    assert "_grids" not in methods
