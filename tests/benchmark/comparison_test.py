"""Files that are kept, and the page that shows them."""

from pathlib import Path
from typing import Any

import pytest

from tfquantseg.benchmark import comparison
from tfquantseg.benchmark.contestants import Made

SETTINGS = {"network": "abc", "steps": 3}
MADE = Made(b"a file", 0.5, {"ok": True})


def test_a_file_is_kept_for_the_same_settings(tmp_path: Path) -> None:
    assert comparison.kept(tmp_path, "ours", SETTINGS) is None
    entry = comparison.keep(tmp_path, "ours", SETTINGS, MADE)
    assert (entry.path.read_bytes(), entry.kept) == (b"a file", False)
    again = comparison.kept(tmp_path, "ours", SETTINGS)
    assert again == comparison.Entry("ours", entry.path, MADE, kept=True)
    entry.path.unlink()  # as if it had been interrupted before
    assert comparison.kept(tmp_path, "ours", SETTINGS) is None


def test_what_is_there_is_never_taken_for_something_else(tmp_path: Path) -> None:
    path = comparison.keep(tmp_path, "ours", SETTINGS, MADE).path
    with pytest.raises(ValueError, match=r"other settings: steps is 3 there and 4 now\. Give"):
        comparison.kept(tmp_path, "ours", {**SETTINGS, "steps": 4})
    path.write_bytes(b"another")
    with pytest.raises(ValueError, match=r"is not the file that ours\.json is of"):
        comparison.kept(tmp_path, "ours", SETTINGS)
    path.with_suffix(".json").write_text("{")
    with pytest.raises(ValueError, match=r"ours\.json is damaged"):
        comparison.kept(tmp_path, "ours", SETTINGS)
    path.with_suffix(".json").unlink()
    with pytest.raises(ValueError, match=r"is there, and no ours\.json says how it was made"):
        comparison.kept(tmp_path, "ours", SETTINGS)


def row(variant: str, **changes: Any) -> dict[str, Any]:
    return {
        "variant": variant,
        "miou": 0.5,
        "against_float32": {"estimate": -0.0123, "low": -0.02, "high": 0.001},
        "file_bytes": 1_234_000,
        "latency_seconds": 0.002,
        "ratio_to_float32": 0.5,
        "ratio_low": 0.4,
        "ratio_high": 0.6,
        "steps": 0,
        "alike": 0.99,
        "certificate": None,
        **changes,
    }


def test_the_page_shows_each_file() -> None:
    certificate = {"ok": True, "problems": []}
    broken = {"ok": False, "problems": ["stem: its weights are others."]}
    rows = [
        row("float32"),
        row("tfmot_qat", certificate=broken),
        row("ours", steps=1000, certificate=certificate),
    ]
    page = comparison.page(rows, ["a network", "a split"])
    assert page.startswith("# One float network, its .tflite files\n\n- a network\n- a split\n\n|")
    lines = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line] for line in lines]
    assert cells[2][:4] == ["float32", "50.00%", "", "1.23 MB"]
    assert cells[3][-1] == "broken: stem: its weights are others."
    assert cells[4] == [
        "int8, ours",
        "50.00%",
        "-1.23 (-2.00 to +0.10)",
        "1.23 MB",
        "2.0 ms",
        "0.50 (0.40-0.60)",
        "1,000",
        "99.00%",
        "every weight equal, 0 steps apart",
    ]
    assert all(f"- {note}" in page for note in comparison.NOTES)
