"""The TensorFlow of a locked interpreter, for programs in C++."""

_BUILD = """
package(default_visibility = ["//visibility:public"])

# The headers, a folder as one source: 10,000 files need not be listed.
cc_library(
    name = "tensorflow",
    hdrs = ["include"],
    includes = ["include"],
)
"""

_VALUES = """
# Its folder, where its libraries are, and its version.
FOLDER = "{folder}"
VERSION = "{version}"
"""

# Both as compile.py finds them.
_FIND = """
import importlib.metadata
import importlib.util

print(importlib.util.find_spec("tensorflow").submodule_search_locations[0])
print(importlib.metadata.version(importlib.metadata.packages_distributions()["tensorflow"][0]))
"""

def _locked_tensorflow_impl(rctx):
    # The file of a label: this function runs anew when it changes, as it does with the lock.
    interpreter = rctx.read(rctx.path(rctx.attr.interpreter))
    result = rctx.execute([interpreter, "-c", _FIND])
    if result.return_code:
        fail("TensorFlow of {} was not found: {}".format(interpreter, result.stderr))
    folder, version = result.stdout.splitlines()
    rctx.symlink(folder + "/include", "include")
    rctx.file("BUILD", _BUILD)
    rctx.file("tensorflow.bzl", _VALUES.format(folder = folder, version = version))

# The folder of the interpreter has the lock's hash in its name: another lock compiles anew.
locked_tensorflow = repository_rule(
    implementation = _locked_tensorflow_impl,
    attrs = {"interpreter": attr.label(mandatory = True, allow_single_file = True)},
    doc = "Tells where the TensorFlow of a locked_python lies, as constants of tensorflow.bzl.",
)
