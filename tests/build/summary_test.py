"""Counts of a test run from Bazel's build events."""

import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from build_defs import summary

PYTEST_XML = """<testsuites><testsuite name="pytest" tests="5">
<testcase classname="a" name="one"/>
<testcase classname="a" name="two"><failure message="m">text</failure></testcase>
<testcase classname="a" name="three"><skipped type="pytest.skip" message="m"/></testcase>
<testcase classname="a" name="four"><failure message="m"/></testcase>
<testcase classname="a" name="four"><error message="at teardown"/></testcase>
<testcase classname="b" name="one"/>
</testsuite></testsuites>"""
# What Bazel writes for a target that ended without writing the file itself.
CRASH_XML = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites><testsuite name="x/y_test" tests="1" failures="0" errors="1">
<testcase name="x/y_test" status="run"><error message="exited with error code 134"/></testcase>
<system-out>text</system-out></testsuite></testsuites>"""
EMPTY_XML = '<testsuites><testsuite name="pytest" tests="0"/></testsuites>'

Event = dict[str, Any]


def result(label: str, xml: pathlib.Path | None, status: str, attempt: int = 1) -> Event:
    key = {"label": label, "run": 1, "shard": 1, "attempt": attempt}
    files = [{"name": "test.log", "uri": "file:///nowhere"}]
    if xml:
        files.append({"name": "test.xml", "uri": xml.as_uri()})
    return {"id": {"testResult": key}, "testResult": {"status": status, "testActionOutput": files}}


def configured(label: str, kind: str) -> Event:
    return {"id": {"targetConfigured": {"label": label}}, "configured": {"targetKind": kind}}


def completed(label: str, success: bool) -> Event:
    payload = {"success": True} if success else {}
    return {"id": {"targetCompleted": {"label": label}}, "completed": payload}


@pytest.fixture
def write(tmp_path: pathlib.Path) -> Any:
    def _write(name: str, text: str) -> pathlib.Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return _write


def test_cases_are_counted_by_name_and_a_failure_outweighs(write: Any) -> None:
    # "four" failed and then failed again at teardown: one test.
    counts = summary.count([result("//a", write("a b.xml", PYTEST_XML), "FAILED")], 3)
    assert counts == {"passed": 2, "failed": 2, "skipped": 1}


@pytest.mark.parametrize(
    ("xml", "status"),
    [(CRASH_XML, "FAILED"), (EMPTY_XML, "FAILED"), ("<not xml", "FAILED"), (None, "TIMEOUT")],
)
def test_a_target_without_a_failed_case_is_one_failure(write: Any, xml: str, status: str) -> None:
    path = write("test.xml", xml) if xml else None
    assert summary.count([result("//a", path, status)], 3) == {"failed": 1}


def test_only_the_last_attempt_counts(write: Any) -> None:
    good = write("good.xml", '<testsuites><testcase classname="a" name="one"/></testsuites>')
    bad = write("bad.xml", CRASH_XML)
    events = [result("//a", bad, "FAILED", attempt=1), result("//a", good, "PASSED", attempt=2)]
    assert summary.count(events, 0) == {"passed": 1}


def test_a_test_that_was_not_built_is_one_failure_and_a_library_is_none() -> None:
    events = [
        configured("//a:a_test", "py_test rule"),
        configured("//a:b_test", "py_test rule"),
        configured("//a:a", "py_library rule"),
        completed("//a:a_test", success=False),
        completed("//a:b_test", success=True),
        completed("//a:a", success=False),
    ]
    assert summary.count(events, 1) == {"failed": 1}


def test_a_failed_build_never_looks_like_a_success() -> None:
    assert summary.count([], 1) == {"failed": 1}
    assert summary.count([], 4).total() == 0  # Bazel's code for: there were no tests


def test_the_line(write: Any) -> None:
    event = result("//a", write("test.xml", PYTEST_XML), "FAILED")
    events = write("events.json", json.dumps(event) + "\n")
    command = [sys.executable, summary.__file__, str(events), "3"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output == "2 passed, 2 failed, 1 skipped\n"
