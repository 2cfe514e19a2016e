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

def tq_tests(deps = [], data = [], alone = {}, extra_data = {}):
    """Tests every *_test.py of the folder; the files beside them are their support.

    TensorFlow takes seconds to start, so `//...` runs the files of a folder in one process, the
    target `together`. Each file is a target of its own name besides, which runs when it is asked for.

    Args:
      deps: libraries under test, for all files.
      data: files that the tests read, for all files.
      alone: files that take long, without their ending, and Bazel's size for each: they run in
        processes of their own.
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
    for name in alone.keys() + extra_data.keys():
        if not native.glob([name + ".py"]):
            fail("There is no {}.py in this folder: correct alone or extra_data.".format(name))
    deps = deps + ([":support"] if native.package_name() != "tests" else [])
    together, together_data = [], {}
    for src in native.glob(["**/*_test.py"]):
        name = src[:-len(".py")]
        extra = extra_data.get(name, [])
        if name not in alone:
            together.append(src)
            together_data.update({label: None for label in extra})
        tq_test(
            name = name,
            size = alone.get(name, "medium"),
            srcs = [src],
            data = data + extra,
            tags = [] if name in alone else ["manual"],
            deps = deps,
        )
    if together:
        tq_test(
            name = "together",
            size = "large",
            srcs = together,
            data = data + [label for label in together_data if label not in data],
            deps = deps,
        )
