"""What all tests share: where the data sets are, and that a data test does not skip beside them."""

import os
import pathlib
from collections.abc import Generator

import hypothesis
import pytest

# The same examples in every run, and nothing left behind in the checkout.
hypothesis.settings.register_profile(
    "tfquantseg", derandomize=True, deadline=None, database=None, print_blob=False
)
hypothesis.settings.load_profile("tfquantseg")


def _data_folder() -> pathlib.Path | None:
    """Returns the folder of TFQUANTSEG_DATA, or None where there is none."""
    folder = os.environ.get("TFQUANTSEG_DATA")
    return pathlib.Path(folder) if folder and pathlib.Path(folder).is_dir() else None


@pytest.fixture(scope="session")
def data_root() -> pathlib.Path:
    """The folder of data sets; the test skips where there is none."""
    folder = _data_folder()
    if folder is None:
        pytest.skip("TFQUANTSEG_DATA names no folder")
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turns the skip of a data test into a failure where the data folder is present."""
    report = yield
    reads_data = item.get_closest_marker("data") or "data_root" in getattr(item, "fixturenames", ())
    if report.skipped and not hasattr(report, "wasxfail") and reads_data and _data_folder():
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"A data test may not skip where {_data_folder()} is present: {reason}"
    return report
