"""A Python interpreter whose packages are exactly those of a lock."""

_BUILD = """
load("@bazel_tools//tools/python:toolchain.bzl", "py_runtime_pair")

package(default_visibility = ["//visibility:public"])

# Holds the interpreter's path.
exports_files(["interpreter"])

py_runtime(
    name = "runtime",
    interpreter_path = "{interpreter}",
    python_version = "PY3",
)

py_runtime_pair(
    name = "runtime_pair",
    py3_runtime = ":runtime",
)

toolchain(
    name = "toolchain",
    toolchain = ":runtime_pair",
    toolchain_type = "@bazel_tools//tools/python:toolchain_type",
)

# The interpreter as a program, for a target that starts it as a subprocess.
sh_binary(
    name = "python",
    srcs = ["python.sh"],
)
"""

_PROGRAM = """#!/bin/sh
exec '{interpreter}' "$@"
"""

def _cache_folder(rctx):
    environ = rctx.os.environ
    if environ.get("TFQUANTSEG_CACHE"):
        return environ["TFQUANTSEG_CACHE"]
    if environ.get("XDG_CACHE_HOME"):
        return environ["XDG_CACHE_HOME"] + "/tfquantseg"
    if environ.get("HOME"):
        return environ["HOME"] + "/.cache/tfquantseg"
    fail("HOME is not set: set TFQUANTSEG_CACHE to a folder for the Python packages.")

def _locked_python_impl(rctx):
    # Bazel starts this function anew when a label's file was not known yet: ask for labels first.
    lock = rctx.path(rctx.attr.lock)
    script = rctx.path(rctx.attr._venv)

    python = rctx.which("python3")
    if not python:
        fail("No python3 on PATH: install Python 3.11, 3.12 or 3.13.")
    rctx.report_progress("installing the packages of {} ({})".format(lock.basename, rctx.attr.cost))
    result = rctx.execute(
        [
            python,
            script,
            lock,
            _cache_folder(rctx) + "/venvs",
            "interpreter",
            "--cost",
            rctx.attr.cost,
        ],
        timeout = 3600,
        quiet = False,
    )
    if result.return_code:
        fail("The Python interpreter of {} was not made; the reason is above.".format(lock.basename))
    interpreter = rctx.read("interpreter")
    rctx.file("BUILD", _BUILD.format(interpreter = interpreter))
    rctx.file("python.sh", _PROGRAM.format(interpreter = interpreter))

locked_python = repository_rule(
    implementation = _locked_python_impl,
    attrs = {
        "lock": attr.label(mandatory = True, allow_single_file = True),
        "cost": attr.string(mandatory = True, doc = "What the first user is told to expect."),
        "_venv": attr.label(default = "//build_defs:locked_venv.py", allow_single_file = True),
    },
    doc = "Declares the virtual environment that locked_venv.py makes of a lock as a Python toolchain.",
    environ = ["HOME", "PATH", "TFQUANTSEG_CACHE", "XDG_CACHE_HOME"],
    # The environment lies outside Bazel's folders: look again whether it is there when Bazel starts.
    local = True,
)
