"""Compiles the own ops into the wheel, where the environment that builds it has TensorFlow.

pyproject.toml says everything else. An isolated build has no TensorFlow, and gets none for this:
it would be unpacked once more, perhaps of another version than will run. The wheel then holds the
sources, and `python -m tfquantseg.kernels.compile` compiles them where it is installed.
"""

import importlib.util
import pathlib
import runpy

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

COMPILE = runpy.run_path("tfquantseg/kernels/compile.py")


class CompileKernels(build_ext):
    """Compiles with compile.py; `optional` makes a failure a warning."""

    def get_ext_filename(self, name: str) -> str:
        """Returns the file that library.py looks for: it is no module of Python."""
        return str(pathlib.Path(*name.split(".")[:-1], COMPILE["LIBRARY"]))

    def build_extension(self, extension: Extension) -> None:
        """Compiles and links."""
        target = pathlib.Path(self.get_ext_fullpath(extension.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            COMPILE["compile_library"](target, pathlib.Path(self.build_temp))
        except COMPILE["NotCompiledError"] as error:
            raise CompileError(str(error)) from error


if importlib.util.find_spec("tensorflow"):
    modules = [Extension("tfquantseg.kernels._kernels", sources=[], optional=True)]
else:
    modules = []
    print("tfquantseg: no TensorFlow here, so the wheel is built without the own ops.")

setup(ext_modules=modules, cmdclass={"build_ext": CompileKernels})
