"""What `import tfquantseg` offers, and that it costs nothing until it is used."""

import inspect
import subprocess
import sys

import pytest

import tfquantseg


@pytest.mark.parametrize("name", tfquantseg.__all__)
def test_a_name_is_a_module_or_that_of_its_own_module(name: str) -> None:
    value = getattr(tfquantseg, name)
    if inspect.ismodule(value):
        assert value.__name__ == f"tfquantseg.{name}"
    else:
        assert value.__name__ == name
        assert value.__module__.startswith("tfquantseg.")


def test_a_module_needs_no_import_of_its_own() -> None:
    code = "import tfquantseg; tfquantseg.schedules.Halvings(0.5).values()"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_importing_the_package_imports_no_tensorflow() -> None:
    code = "import sys, tfquantseg; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'quantise'"):
        tfquantseg.quantise  # noqa: B018


def test_completion_knows_the_names() -> None:
    assert set(tfquantseg.__all__) <= set(dir(tfquantseg))
