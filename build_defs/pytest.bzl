"""Test targets: pytest on a file, as a Bazel test."""

_MAIN = "//build_defs:run_pytest.py"

def tq_test(name, srcs, deps = [], data = [], size = "medium", **kwargs):
    """One test target: pytest on srcs, a failure when nothing was collected.

    What lies in tests/ itself (conftest.py) is at hand in every test.

    Args:
      name: the target.
      srcs: files of pytest functions.
      deps: libraries under test.
      data: files that the tests read.
      size: Bazel's; medium is at most 5 minutes, large 15.
      **kwargs: passed on to py_test.
    """
    native.py_test(
        name = name,
        size = size,
        srcs = srcs + [_MAIN],
        args = ["$(location {})".format(src) for src in srcs],
        data = data + ["//:pyproject.toml"],
        main = _MAIN,
        deps = deps + ["//tests:support"],
        **kwargs
    )

def tq_tests(deps = [], data = [], sizes = {}, extra_data = {}):
    """One test target for each *_test.py of the folder; the files beside them are their support.

    Args:
      deps: libraries under test, for all files.
      data: files that the tests read, for all files.
      sizes: Bazel's size for targets that are not medium.
      extra_data: files that one target reads besides.
    """
    native.py_library(
        name = "support",
        testonly = True,
        srcs = native.glob(["**/*.py"], exclude = ["**/*_test.py"]),
        visibility = ["//tests:__subpackages__"],
    )
    native.filegroup(
        name = "sources",
        testonly = True,
        srcs = native.glob(["**/*.py"]),
        visibility = ["//tests:__subpackages__"],
    )
    for src in native.glob(["**/*_test.py"]):
        name = src[:-len(".py")]
        tq_test(
            name = name,
            size = sizes.get(name, "medium"),
            srcs = [src],
            data = data + extra_data.get(name, []),
            deps = deps + ([":support"] if native.package_name() != "tests" else []),
        )
    for name in sizes.keys() + extra_data.keys():
        if not native.glob([name + ".py"]):
            fail("There is no {}.py in this folder: correct sizes or extra_data.".format(name))
