"""Prints `N passed, N failed, N skipped` for one `bazel test`, counted from its build events.

A test is one test case in the `test.xml` of a target that this very run reported, remembered
results included. Bazel writes that file itself, with one failed case, for a target that crashed or
ran out of time. A target that failed without a failed case (nothing was collected), or that was not
built, counts as one failed test.

Runs under any Python 3 on PATH, with the standard library only.
"""

from __future__ import annotations

import collections
import json
import pathlib
import sys
import urllib.parse
import xml.etree.ElementTree

BUILD_FAILED = (1, 3)  # Bazel's exit codes: the build failed, some test failed


def count_cases(path: pathlib.Path) -> collections.Counter[str]:
    """Returns how many tests of one test.xml passed, failed and were skipped."""
    outcomes: dict[tuple[str | None, str | None], str] = {}
    try:
        cases = list(xml.etree.ElementTree.parse(path).iter("testcase"))
    except (OSError, xml.etree.ElementTree.ParseError):
        cases = []
    for case in cases:
        test = case.get("classname"), case.get("name")
        if case.find("failure") is not None or case.find("error") is not None:
            outcomes[test] = "failed"
        elif case.find("skipped") is not None:
            outcomes.setdefault(test, "skipped")
        else:
            outcomes.setdefault(test, "passed")
    return collections.Counter(outcomes.values())


def count(events: list[dict], status: int) -> collections.Counter[str]:
    """Returns the counts of one run.

    Args:
        events: the build events, in their order.
        status: Bazel's exit code; a failed build has at least one failure.
    """
    tests = set()
    not_built = set()
    results: dict[tuple, dict] = {}
    for event in events:
        ((kind, key),) = event["id"].items()
        label = key.get("label") if isinstance(key, dict) else None
        rule = event.get("configured", {}).get("targetKind", "")
        if kind == "targetConfigured" and rule.endswith("_test rule"):
            tests.add(label)
        elif kind == "targetCompleted" and not event.get("completed", {}).get("success"):
            not_built.add(label)
        elif kind == "testResult":  # of several attempts the last one stays
            results[label, key.get("run"), key.get("shard")] = event.get("testResult", {})

    total: collections.Counter[str] = collections.Counter(failed=len(tests & not_built))
    for result in results.values():
        files = {file["name"]: file.get("uri", "") for file in result.get("testActionOutput", [])}
        path = urllib.parse.unquote(urllib.parse.urlparse(files.get("test.xml", "")).path)
        cases = count_cases(pathlib.Path(path))
        if result.get("status") != "PASSED" and not cases["failed"]:
            cases["failed"] = 1
        total += cases
    if status in BUILD_FAILED and not total["failed"]:
        total["failed"] = 1
    return total


def main() -> None:
    """Prints the line; arguments: the file of build events (JSON lines), Bazel's exit code."""
    lines = pathlib.Path(sys.argv[1]).read_text().splitlines()
    total = count([json.loads(line) for line in lines], int(sys.argv[2]))
    print(", ".join(f"{total[outcome]} {outcome}" for outcome in ("passed", "failed", "skipped")))


if __name__ == "__main__":
    main()
