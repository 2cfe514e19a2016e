"""The main of the test targets, started as Bazel starts it, and the rules of tests/conftest.py."""

import os
import pathlib
import shutil
import subprocess
import sys
import xml.etree.ElementTree

import pytest

from build_defs import run_pytest


def run(
    folder: pathlib.Path, source: str, **environment: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Runs `source` as a test file in its own project; returns the process and the outcomes."""
    shutil.copy("pyproject.toml", folder / "pyproject.toml")
    shutil.copy("tests/conftest.py", folder / "conftest.py")
    (folder / "a_test.py").write_text(source)
    report = folder / "out.xml"
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TEST")},
        "TEST_TMPDIR": str(folder / "tmp"),
        "XML_OUTPUT_FILE": str(report),
        "TFQUANTSEG_DATA": "",
        **environment,
    }
    (folder / "tmp").mkdir()
    command = [sys.executable, run_pytest.__file__, "a_test.py"]
    process = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    cases = xml.etree.ElementTree.parse(report).iter("testcase")
    outcomes = [case[0].tag if len(case) else "passed" for case in cases]
    return process, outcomes


def test_tests_run_and_a_failing_one_fails_the_target(tmp_path: pathlib.Path) -> None:
    process, outcomes = run(
        tmp_path, "def test_good():\n    pass\ndef test_bad():\n    assert 1 == 2\n"
    )
    assert process.returncode == 1
    assert outcomes == ["passed", "failure"]


@pytest.mark.parametrize("source", ["", "def tset_misspelled():\n    pass\n"])
def test_a_file_without_a_test_fails_the_target(tmp_path: pathlib.Path, source: str) -> None:
    process, outcomes = run(tmp_path, source)
    assert process.returncode == pytest.ExitCode.NO_TESTS_COLLECTED
    assert outcomes == []


def test_a_warning_is_an_error(tmp_path: pathlib.Path) -> None:
    process, outcomes = run(tmp_path, "import warnings\ndef test():\n    warnings.warn('x')\n")
    assert process.returncode == 1
    assert outcomes == ["failure"]


def test_the_filter_of_bazel_chooses_tests(tmp_path: pathlib.Path) -> None:
    process, outcomes = run(
        tmp_path,
        "def test_good():\n    pass\ndef test_bad():\n    assert 1 == 2\n",
        TESTBRIDGE_TEST_ONLY="good",
    )
    assert process.returncode == 0
    assert outcomes == ["passed"]


def test_home_is_a_folder_of_the_test(tmp_path: pathlib.Path) -> None:
    source = f"import os\ndef test():\n    assert os.environ['HOME'] == {str(tmp_path / 'tmp')!r}\n"
    assert run(tmp_path, source)[1] == ["passed"]


DATA_TESTS = """
import pytest
def test_by_fixture(data_root):
    pytest.skip("reason 1")
@pytest.mark.data
def test_by_mark():
    pytest.skip("reason 2")
@pytest.mark.data
@pytest.mark.skip(reason="reason 3")
def test_never_started():
    pass
def test_without_data():
    pytest.skip("reason 4")
@pytest.mark.data
@pytest.mark.xfail(reason="known", strict=True)
def test_known_to_fail():
    assert 1 == 2
"""


def test_a_data_test_may_not_skip_where_the_data_is(tmp_path: pathlib.Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    process, outcomes = run(tmp_path, DATA_TESTS, TFQUANTSEG_DATA=str(data))
    assert process.returncode == 1
    assert outcomes == ["failure", "failure", "error", "skipped", "skipped"]
    for reason in ("reason 1", "reason 2", "reason 3"):
        assert f"A data test may not skip where {data} is present: Skipped: {reason}" in (
            process.stdout
        )


@pytest.mark.parametrize("data", ["", "/no/such/folder"])
def test_a_data_test_skips_where_there_is_no_data(tmp_path: pathlib.Path, data: str) -> None:
    process, outcomes = run(tmp_path, DATA_TESTS, TFQUANTSEG_DATA=data)
    assert process.returncode == 0
    assert outcomes == ["skipped"] * 5
    assert "TFQUANTSEG_DATA names no folder" in process.stdout
