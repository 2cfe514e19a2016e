"""The suite kernels: each piece of a training step beside TensorFlow's, and beside its floor.

A product's floor is its operations over the rate at which the machine multiplies matrices of the
operands' type. Of float32 and bfloat16 that rate is measured. Of int8 it is four times float32's:
VNNI's vpdpbusd multiplies and adds four bytes where a multiply-add of float32 does one number, in
registers of the same width and in the same units. So the floor of own ops owes nothing to own ops.

An elementwise piece's floor is the bytes that it has to read and write over the rate at which the
machine copies memory. The rates are measured in every round, in turn with the pieces. The share of
the floor is that of the fastest steps, the rates' of the whole run: whatever else the machine does
only adds time.

All runs in one process, which has one piece after the other in memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tfquantseg import kernels
from tfquantseg.benchmark import kernels_worker, pieces, turns, worker
from tfquantseg.benchmark.pairs import Spread, Turn, all_seconds
from tfquantseg.benchmark.suite import Column, Quantity, Report, Request, Row, chosen, table

VARIANTS = {
    "float32": "TensorFlow's, float32",
    "bfloat16": "TensorFlow's, bfloat16",
    "own": "own",
}
"""By name, what is measured. The first is what the others are compared with, and always runs."""

BASE = "float32"
_OURS = ("own",)
_ROUNDS = 7
_SECONDS = 0.03  # of a turn
_PER_FLOAT32 = {"float32": 1.0, "own": 4.0}  # operations of an instruction; bfloat16 is measured
_NOTES = (
    "Times are medians. Ratios are medians over the rounds, in brackets the quartiles: half of the "
    "rounds lie between. Own products include rescaling and bias, TensorFlow's are nothing else.",
    "Of its floor: the time that the piece needs at least, as a share of its fastest step. At "
    "least it needs its operations over the fastest rate of matrix products of its operands' type "
    "(int8: four times float32's), or the bytes it has to read and write over that of copying.",
)


def _rate_text(row: Row) -> str:
    if "operations" in row:
        return f"{row['operations_per_second'] / 1e9:,.0f} GOP/s"
    return f"{row['bytes_per_second'] / 1e9:,.1f} GB/s"


def _element_text(row: Row) -> str:
    return f"{1e9 * row['seconds_per_element']:.2f} ns" if "elements" in row else ""


_COLUMNS = (
    Column(title="piece", text=lambda row: row["case"], left=True),
    Column(title="by", text=lambda row: VARIANTS[row["variant"]], left=True),
    Column(title="time", text=lambda row: turns.duration(row["seconds"])),
    Column(title="to float32", text=turns.ratio_text),
    Column(title="rate", text=_rate_text),
    Column(title="an element", text=_element_text),
    Column(title="of its floor", text=lambda row: f"{row['share_of_floor']:.0%}"),
)
_QUANTITIES = (
    Quantity(
        title="time",
        key="seconds",
        text=lambda row: f"{turns.duration(row['seconds'])}  {row['ratio_to_float32']:.2f}x",
    ),
    Quantity(
        title="time over its floor",
        key="over_floor",
        text=lambda row: f"{row['over_floor']:.1f}x  {_rate_text(row)}",
    ),
)


def run(request: Request) -> Report:
    """Measures every piece.

    Raises:
        ValueError: a name is not known, or something is asked for that pieces do not have.
        ChildProcessError: the worker ended.
    """
    return measure(request, pieces.PIECES)


def measure(request: Request, offered: Sequence[pieces.Piece]) -> Report:
    """Measures those of the offered pieces that are asked for; else as `run`."""
    for flag, given in (
        ("networks", request.networks),
        ("sizes", request.sizes),
        ("batch", request.batches),
    ):
        if given:
            raise ValueError(
                f"--{flag} is not for --suite=kernels: it measures pieces of fixed sizes. Choose "
                f"among them with --pieces, of {', '.join(piece.name for piece in offered)}."
            )
    named = {piece.name: piece for piece in offered}
    asked = chosen("piece", request.pieces, named)
    wanted = chosen("variant", request.variants, VARIANTS)
    variants, left_out = available(wanted)
    runs: list[Measured] = []
    with worker.ours("the pieces", "kernels_worker") as one:
        rates = _Rates(one, request.threads)
        for name in asked:
            before = len(runs)
            for product in _products(named[name]):
                runs.append(_run(request, one, named[name], product, variants, rates))
            shown = [row for run_ in runs[before:] for row in rows(run_, rates.fastest)]
            request.say(table(shown, _COLUMNS) + "\n")
    return Report(
        title="Kernels: what the pieces of a training step cost",
        rows=tuple(row for run_ in runs for row in rows(run_, rates.fastest)),
        variants=VARIANTS,
        base=BASE,
        ours=_OURS,
        columns=_COLUMNS,
        quantities=_QUANTITIES,
        notes=_NOTES,
        left_out=left_out,
        scaled_by="piece",
    )


def available(wanted: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the variants that can run here, with the base, and what is to be said of the others.

    Args:
        wanted: variants that were asked for.
    """
    variants = tuple(name for name in VARIANTS if name == BASE or name in wanted)
    if "own" not in variants or kernels.ops() is not None:
        return variants, ()
    said = f"Left out: own ops. {kernels.why_not()}"
    return tuple(name for name in variants if name != "own"), (said,)


@dataclasses.dataclass(frozen=True)
class Measured:
    """Turns of one run.

    Attributes:
        piece: what was done.
        product: of a convolution, which; None of an elementwise piece.
        taken: turns by variant.
    """

    piece: pieces.Piece
    product: pieces.Product | None
    taken: Mapping[str, Sequence[Turn]]


class _Rates:
    """The things that floors need, each made when it is needed first.

    Attributes:
        fastest: by name, the seconds of its fastest step in any run.
    """

    def __init__(self, one: worker.Worker, threads: int) -> None:
        self.fastest: dict[str, float] = {}
        self._worker = one
        self._threads = threads
        self._made: dict[str, worker.Part] = {}

    def part(self, floor: str) -> worker.Part:
        if floor not in self._made:
            self._made[floor] = self._worker.part(_floor_of(floor))
            self._made[floor].build(threads=self._threads, floor=floor)
        return self._made[floor]

    def note(self, floor: str, taken: Sequence[Turn]) -> None:
        fastest = min(all_seconds(taken))
        self.fastest[floor] = min(fastest, self.fastest.get(floor, fastest))


def _floor_of(floor: str) -> str:
    """Its name among a run's parts."""
    return f"floor of {floor}"


def _products(piece: pieces.Piece) -> tuple[pieces.Product | None, ...]:
    """What is measured of a piece, in one run each."""
    return pieces.PRODUCTS if isinstance(piece, pieces.Convolution) else (None,)


def _run(
    request: Request,
    one: worker.Worker,
    piece: pieces.Piece,
    product: pieces.Product | None,
    variants: Sequence[str],
    rates: _Rates,
) -> Measured:
    """Measures one product of a convolution, or one elementwise piece."""
    if product is None:
        variants, floors = [name for name in variants if name != "bfloat16"], ["copy"]
    else:
        floors = [name for name in variants if name != "own"]
    parts = {_floor_of(floor): rates.part(floor) for floor in floors}
    plain = pieces.as_plain(piece)
    for variant in variants:
        parts[variant] = one.part(variant)
        parts[variant].build(threads=request.threads, piece=plain, product=product, variant=variant)
    plan = turns.Plan(
        rounds=request.rounds or _ROUNDS, seconds=_SECONDS, warm_up=2, dropped=1, same_steps=False
    )
    taken = turns.take(parts, plan, _case(piece, product))
    for floor in floors:
        rates.note(floor, taken.pop(_floor_of(floor)))
    return Measured(piece, product, taken)


def _case(piece: pieces.Piece, product: pieces.Product | None) -> str:
    return piece.name if product is None else f"{piece.name}, {product.replace('_', ' ')}"


def rows(run_: Measured, fastest: Mapping[str, float]) -> list[Row]:
    """Returns a run's rows.

    Args:
        run_: what was measured.
        fastest: of "float32", "bfloat16" and "copy", the seconds of the fastest step.
    """
    piece = run_.piece
    about: dict[str, Any] = {
        "case": _case(piece, run_.product),
        "piece": piece.name,
        "about": str(piece),
    }
    if run_.product is not None:
        about["product"] = run_.product
    return [
        {**about, **_measured(piece, run_.taken, variant, floor_seconds(piece, fastest, variant))}
        for variant in run_.taken
    ]


def _measured(
    piece: pieces.Piece, taken: Mapping[str, Sequence[Turn]], variant: str, least: float
) -> dict[str, Any]:
    mine = taken[variant]
    seconds = Spread.of(all_seconds(mine)).median
    share = least / min(all_seconds(mine))
    fields: dict[str, Any] = {
        "variant": variant,
        "seconds": seconds,
        **turns.ratio_fields(taken, variant, BASE),
        "floor_seconds": least,
        "share_of_floor": share,
        "over_floor": 1 / share,
        "steps": len(all_seconds(mine)),
        "rounds": [turn.median for turn in mine],
    }
    if isinstance(piece, pieces.Convolution):
        fields |= {
            "operations": piece.operations,
            "operations_per_second": piece.operations / seconds,
        }
    else:
        fields |= {
            "elements": piece.elements,
            "bytes": piece.bytes,
            "bytes_per_second": piece.bytes / seconds,
            "seconds_per_element": seconds / piece.elements,
        }
    return fields


def floor_seconds(piece: pieces.Piece, fastest: Mapping[str, float], variant: str) -> float:
    """Returns the time that a piece needs at least.

    Args:
        piece: what is done.
        fastest: of "float32", "bfloat16" and "copy", the seconds of the fastest step.
        variant: by whom, for the type of the operands.
    """
    if isinstance(piece, pieces.Elementwise):
        copied = 2 * 4 * kernels_worker.COPIED  # bytes
        return piece.bytes / copied * fastest["copy"]
    operations = 2 * kernels_worker.MATRIX**3 * _PER_FLOAT32.get(variant, 1.0)
    return piece.operations / operations * fastest["bfloat16" if variant == "bfloat16" else BASE]
