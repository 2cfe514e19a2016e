"""The main of every Python test target: runs pytest on the files named as arguments.

Bazel's own `py_test` only runs a file, and a file of test functions then passes without running
one. Here pytest's status is the target's: a failure when nothing was collected, too.
"""

import os
import sys

import pytest


def arguments(files: list[str]) -> list[str]:
    """Returns pytest's command line for `files` in the environment that Bazel gives to a test."""
    options = ["-p", "no:cacheprovider", "-rfEsx", "--color=no"]
    if "XML_OUTPUT_FILE" in os.environ:
        options.append(f"--junitxml={os.environ['XML_OUTPUT_FILE']}")
    if "TEST_TMPDIR" in os.environ:
        options.append(f"--basetemp={os.path.join(os.environ['TEST_TMPDIR'], 'pytest')}")
    if "TESTBRIDGE_TEST_ONLY" in os.environ:  # bazel test --test_filter=EXPRESSION
        options += ["-k", os.environ["TESTBRIDGE_TEST_ONLY"]]
    return [*options, *files]


if __name__ == "__main__":
    if "TEST_TMPDIR" in os.environ:  # no test reads or writes the user's own configuration
        os.environ["HOME"] = os.environ["TEST_TMPDIR"]
    if len(sys.argv) < 2:
        sys.exit("run_pytest.py: no test file was named.")
    sys.exit(pytest.main(arguments(sys.argv[1:])))
