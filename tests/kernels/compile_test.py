"""What is compiled, and with what."""

import pytest

from tfquantseg.kernels import compile as compiling


@pytest.fixture
def setting() -> dict[str, list[str]]:
    import runpy

    return runpy.run_path(str(compiling.FOLDER / "flags.bzl"))
