"""The CSV log of a run: one row a step."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from tfquantseg.training import whole

COLUMNS = (
    "step",
    "loss",
    "learning_rate",
    "images_per_second",
    "miou",
    "miou_per_image",
    "pixel_accuracy",
)


class Log:
    """Appends rows to a CSV file. Each row reaches the file at once, so that a kill loses none.

    The columns are `COLUMNS`; the last three are scores on the validation split and empty in steps
    that were not evaluated.

    Args:
        path: The file; made with a header if it does not exist.
        step: Rows of later steps are dropped: a resumed run writes them again.

    Raises:
        OSError: The file cannot be written.
    """

    def __init__(self, path: Path, step: int) -> None:
        """Opens the log."""
        kept = [row for row in read(path) if int(row["step"]) <= step] if path.exists() else []
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
        whole.write_whole(path, text.getvalue().encode())
        self._file = path.open("a", newline="")
        self._writer = csv.DictWriter(self._file, COLUMNS, lineterminator="\n")

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def write(self, **values: float) -> None:
        """Appends one row; columns that are not given stay empty."""
        self._writer.writerow(values)
        self._file.flush()


def read(path: Path) -> list[dict[str, str]]:
    """All rows of a log, as text. A last row that a power cut left incomplete is left out."""
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if None not in row.values()]
