"""The real Edge TPU compiler, where it is installed: what it says of a `.tflite` file.

It is called with -s, which makes it print a table, of which each row counts operators that share a
fate:

    Operator                       Count      Status

    CONV_2D                        36         Mapped to Edge TPU
    CONV_2D                        2          More than one subgraph is not supported
"""

import dataclasses
import pathlib
import re
import shutil
import subprocess
import tempfile
from typing import Any

PROGRAM = "edgetpu_compiler"
MAPPED = "Mapped to Edge TPU"

_VERSION = re.compile(r"Edge TPU Compiler version (\S+)")
_HEADING = re.compile(r"^Operator +Count +Status *$", re.MULTILINE)
_ROW = re.compile(r"^(\S+) +(\d+) +(\S.*?) *$", re.MULTILINE)
_SUCCESS = "compiled successfully"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the compiler said; printed, it is a section in Markdown.

    Attributes:
        compiled: whether it made a file.
        version: of the compiler, empty if it did not say.
        rows: operator, count and status, as in its table.
        text: all that it printed.
    """

    compiled: bool
    version: str
    rows: tuple[tuple[str, int, str], ...]
    text: str

    @property
    def mapped(self) -> int:
        """How many operators run on the TPU."""
        return sum(count for _, count, status in self.rows if status == MAPPED)

    @property
    def total(self) -> int:
        """How many operators the file has."""
        return sum(count for _, count, _ in self.rows)

    def as_json(self) -> dict[str, Any]:
        """Returns ``compiled``, ``version``, ``mapped``, ``total``, ``rows`` and ``text``."""
        return {
            "compiled": self.compiled,
            "version": self.version,
            "mapped": self.mapped,
            "total": self.total,
            "rows": [
                {"op": op, "count": count, "status": status} for op, count, status in self.rows
            ],
            "text": self.text,
        }

    def __str__(self) -> str:
        """Returns the section."""
        lines = [f"## What {PROGRAM} {self.version} said", ""]
        if not self.compiled:
            return "\n".join([*lines, "It made no file:", "", "```", self.text.strip(), "```", ""])
        lines += [f"**{self.mapped} of {self.total} operators on the TPU.**", ""]
        lines += ["| operator | count | status |", "|---|---|---|"]
        lines += [f"| {op} | {count} | {status} |" for op, count, status in self.rows]
        return "\n".join([*lines, ""])


def compiler_verdict(path: str | pathlib.Path) -> Verdict | None:
    """Runs `edgetpu_compiler` on a file, if it is on PATH; what it makes is thrown away.

    Args:
        path: a `.tflite` file.

    Returns:
        What it said, a refusal included; None if there is no such program on PATH.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            [program, "-s", "-o", folder, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    heading = _HEADING.search(result.stdout)
    rows = _ROW.findall(result.stdout, heading.end()) if heading else []
    version = _VERSION.search(result.stdout)
    return Verdict(
        compiled=result.returncode == 0 and _SUCCESS in result.stdout,
        version=version[1] if version else "",
        rows=tuple((op, int(count), status) for op, count, status in rows),
        text=result.stdout,
    )
