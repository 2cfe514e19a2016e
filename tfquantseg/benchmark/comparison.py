"""One float network's `.tflite` files side by side: score, size, latency, certificate."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfquantseg import metrics
from tfquantseg.benchmark import latency, turns
from tfquantseg.benchmark.contestants import BASE, TITLES, Made, Options, Progress, Subject
from tfquantseg.benchmark.suite import Column, Row, table
from tfquantseg.training import whole
from tfquantseg.training.image_scores import counts_of

NOTES = (
    "mIoU is that of the file itself, by LiteRT's default kernels, on every image of the split; "
    "points are against the float32 file, in brackets what 95 % of resampled sets of images give.",
    "Latency is the median of one image; the files took turns, and ratios are medians over the "
    "rounds, in brackets the quartiles.",
    "Alike: the share of pixels that get the same class from the file and from the graph it was "
    "made of, on the first images of the split. For the post-training file that is the float "
    "graph, for the others the one that was trained.",
    "The certificate compares every weight in the file with the integer that training multiplied, "
    "and the file with an independent program in integers, by steps of its logits. Other ways give "
    "none: what they train with is no integer.",
    "tfmot's ranges of activations begin at those of the calibration images. By themselves they "
    "begin at -6..6 and keep 0.999 of that a step.",
)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A file in the folder of a comparison.

    Attributes:
        variant: its name.
        path: of the file.
        made: what is known of it.
        kept: whether an earlier call had made it.
    """

    variant: str
    path: Path
    made: Made
    kept: bool


def path_of(folder: Path, variant: str) -> Path:
    """Returns where the file of a variant lies."""
    return folder / f"{variant}.tflite"


def kept(folder: Path, variant: str, settings: Mapping[str, Any]) -> Entry | None:
    """Returns the file that an earlier comparison with these settings left, None if there is none.

    Args:
        folder: of the comparison.
        variant: name.
        settings: all that the file depends on.

    Raises:
        ValueError: there is one of other settings, or one whose record is missing or of another
            file.
    """
    path, record = path_of(folder, variant), _record(folder, variant)
    if not record.exists():
        if path.exists():
            raise ValueError(
                f"{path} is there, and no {record.name} says how it was made; give another --out, "
                "or remove it."
            )
        return None
    if not path.exists():
        return None  # The record comes first; it was interrupted between the two.
    try:
        about = json.loads(record.read_text())
        before, made, digest = about["settings"], about["made"], about["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{record} is damaged ({error}); give another --out.") from error
    told = [
        f"{name} is {before.get(name)!r} there and {now!r} now"
        for name, now in settings.items()
        if before.get(name) != now
    ]
    if told:
        raise ValueError(
            f"{path} was made with other settings: {', '.join(told)}. Give another --out, or "
            "remove the file."
        )
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"{path} is not the file that {record.name} is of; give another --out.")
    return Entry(variant, path, Made(content, **made), kept=True)


def keep(folder: Path, variant: str, settings: Mapping[str, Any], made: Made) -> Entry:
    """Writes a file and how it was made.

    Raises:
        OSError: the folder cannot be written.
    """
    path = path_of(folder, variant)
    about = {
        "settings": dict(settings),
        "made": {"agreement": made.agreement, "certificate": made.certificate},
        "sha256": hashlib.sha256(made.content).hexdigest(),
    }
    whole.write_whole(_record(folder, variant), json.dumps(about, indent=2).encode() + b"\n")
    whole.write_whole(path, made.content)
    return Entry(variant, path, made, kept=False)


def rows(
    entries: Sequence[Entry],
    subject: Subject,
    options: Options,
    *,
    trained: Mapping[str, int],
    rounds: int,
    progress: Progress,
) -> list[Row]:
    """Scores every file on the held out split, and measures its latency beside the others.

    Args:
        entries: the float32 file among them.
        subject: what they are of.
        options: how they were made.
        trained: by variant, steps of training that quantization took.
        rounds: turns of each file.
        progress: shows how far it is.

    Returns:
        One row a file, in plain values.

    Raises:
        ValueError: an example cannot be read.
        ChildProcessError: a worker ended.
    """
    counts = {}
    for entry in entries:
        seen = progress(len(subject.held_out), f"images scored by {TITLES[entry.variant]}")
        file = subject.file(entry.made.content, options.threads)
        counts[entry.variant] = counts_of(
            file.classify, subject.held_out, subject.config, subject.size, seen=seen
        )
    case = f"{subject.model.name} {subject.size[0]}x{subject.size[1]}"
    speed = latency.measure(
        {entry.variant: entry.path for entry in entries},
        BASE,
        case,
        rounds=rounds,
        threads=options.threads,
        titles=TITLES,
    )
    made: list[Row] = []
    for entry in entries:
        mine = counts[entry.variant]
        difference = metrics.bootstrap_difference(mine, counts[BASE])
        made.append(
            {
                "variant": entry.variant,
                "miou": metrics.scores(mine).miou,
                "miou_interval": dataclasses.asdict(metrics.bootstrap_miou(mine)),
                "against_float32": dataclasses.asdict(difference),
                "steps": trained.get(entry.variant, 0),
                "alike": entry.made.agreement,
                "certificate": entry.made.certificate,
                **speed[entry.variant],
            }
        )
    return made


def page(lines: Sequence[Row], about: Sequence[str]) -> str:
    """Returns the Markdown page: what was compared, the table, and how to read it."""
    notes = "\n".join(f"- {note}" for note in NOTES)
    head = "\n".join(f"- {one}" for one in about)
    return f"# One float network, its .tflite files\n\n{head}\n\n{shown(lines)}\n\n{notes}\n"


def shown(lines: Sequence[Row]) -> str:
    """Returns the table alone."""
    return table(lines, _COLUMNS)


def _record(folder: Path, variant: str) -> Path:
    return folder / f"{variant}.json"


def _points(row: Row) -> str:
    if row["variant"] == BASE:
        return ""
    one = row["against_float32"]
    low, middle, high = (100 * one[name] for name in ("low", "estimate", "high"))
    return f"{middle:+.2f} ({low:+.2f} to {high:+.2f})"


def _certificate(row: Row) -> str:
    found = row["certificate"]
    if found is None:
        return "none"
    if not found["ok"]:
        return "broken: " + " ".join(found["problems"])
    return "every weight equal, 0 steps apart"


_COLUMNS = (
    Column(title="file", text=lambda row: TITLES[row["variant"]], left=True),
    Column(title="mIoU", text=lambda row: f"{row['miou']:.2%}"),
    Column(title="points", text=_points),
    Column(title="size", text=lambda row: f"{row['file_bytes'] / 1e6:,.2f} MB"),
    Column(title="latency", text=lambda row: turns.duration(row["latency_seconds"])),
    Column(title="to float32", text=turns.ratio_text),
    Column(title="steps", text=lambda row: f"{row['steps']:,}" if row["steps"] else ""),
    Column(title="alike", text=lambda row: f"{row['alike']:.2%}"),
    Column(title="certificate", text=_certificate, left=True),
)
