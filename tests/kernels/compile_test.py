"""What is compiled, and with what."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
import tensorflow as tf

from tfquantseg.kernels import compile as compiling
from tfquantseg.kernels import library


@pytest.fixture
def setting() -> dict[str, list[str]]:
    import runpy

    return runpy.run_path(str(compiling.FOLDER / "flags.bzl"))
