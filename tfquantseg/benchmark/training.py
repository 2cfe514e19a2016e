"""The suite training: what a training step costs, in time and in memory.

Every variant trains the same float network on the same random images (bytes; what they show does
not change the cost) with stochastic gradient descent with momentum, in a process of its own.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfquantseg.benchmark import description, networks, turns, worker
from tfquantseg.benchmark.pairs import Spread, Turn, all_seconds
from tfquantseg.benchmark.suite import (
    Column,
    Quantity,
    Report,
    Request,
    Row,
    chosen,
    refuse_pieces,
    table,
)
from tfquantseg.models.framing import Size

VARIANTS = {
    "float32": "Keras, float32",
    "mixed_bfloat16": "Keras, mixed_bfloat16",
    "fake_quant": "fake quantization written plainly",
    "tfmot_float32": "tf_keras, float32",
    "tfmot_qat": "tf_keras, tfmot QAT",
    "PAPER": "ours, the paper's preset",
    "INTEGER_stock": "ours, INTEGER by TensorFlow's ops",
    "INTEGER": "ours, INTEGER",
}
"""By name, what is measured. The first is what the others are compared with, and always runs."""

BASE = "float32"
_OURS = ("PAPER", "INTEGER_stock", "INTEGER")
_PEERS = ("tfmot_float32", "tfmot_qat")
_ROUNDS = 10
_RATE, _MOMENTUM = 2.0**-10, 0.875  # so low that random labels spoil no network in a few steps
_NOTES = (
    "A step is forward, backward and update. Its time is the median; ratios are medians over the "
    "rounds, in brackets the quartiles: half of the rounds lie between.",
    "CPU is the processor time of one step, all threads. Memory is the growth of the process's "
    "peak resident memory after importing, weights and optimizer included.",
    "The profiles of ours are of TensorFlow's profiler, of steps behind the others. Ops run beside "
    "one another, so their seconds may add up to more than the step's.",
)
_COLUMNS = (
    Column(title="network", text=lambda row: row["case"], left=True),
    Column(title="variant", text=lambda row: VARIANTS[row["variant"]], left=True),
    Column(title="step", text=lambda row: turns.duration(row["step_seconds"])),
    Column(title="to float32", text=turns.ratio_text),
    Column(title="CPU", text=lambda row: turns.duration(row["cpu_seconds"])),
    Column(title="memory", text=lambda row: turns.megabytes(row["memory_bytes"])),
    Column(title="to float32", text=lambda row: f"{row['memory_ratio_to_float32']:.2f}"),
)
_QUANTITIES = (
    Quantity(
        title="time of a step",
        key="step_seconds",
        text=lambda row: f"{turns.duration(row['step_seconds'])}  {row['ratio_to_float32']:.2f}x",
    ),
    Quantity(
        title="memory",
        key="memory_bytes",
        text=lambda row: (
            f"{turns.megabytes(row['memory_bytes'])}  {row['memory_ratio_to_float32']:.2f}x"
        ),
    ),
)


def run(request: Request) -> Report:
    """Measures every variant of every network, size and batch.

    Raises:
        ValueError: a name is not known, a size does not fit, or the peers' interpreter is none.
        ChildProcessError: a worker ended.
    """
    refuse_pieces(request, "training")
    chosen_networks = chosen("network", request.networks, networks.names())
    variants, left_out = worker.available(
        chosen("variant", request.variants, VARIANTS), BASE, _PEERS, request.peers_python
    )
    rows: list[Row] = []
    for name in chosen_networks:
        network = networks.network(name)
        for size in request.sizes or (network.size,):
            for batch in request.batches or (network.batch,):
                measured = _case(request, network, size, batch, variants)
                request.say(table(measured, _COLUMNS) + "\n")
                if any(row["profile_seconds"] for row in measured):
                    request.say(profile_table(measured) + "\n")
                rows += measured
    return Report(
        title="Training: what a step costs",
        rows=tuple(rows),
        variants=VARIANTS,
        base=BASE,
        ours=_OURS,
        columns=_COLUMNS,
        quantities=_QUANTITIES,
        notes=_NOTES,
        left_out=left_out,
    )


def _case(
    request: Request, network: networks.Network, size: Size, batch: int, variants: Sequence[str]
) -> list[Row]:
    """Measures the variants of one network at one size and batch."""
    height, width = size
    case = f"{network.name} {height}x{width}, batch {batch}"
    plan = turns.Plan(rounds=request.rounds or _ROUNDS, seconds=0.5, warm_up=3, dropped=0)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        workers = {}
        for variant in variants:
            request.say(f"{case}: building {VARIANTS[variant]}")
            one = _started(request, network, variant)
            workers[variant] = stack.enter_context(one)
            common = {
                "batch": batch,
                "rate": _RATE,
                "momentum": _MOMENTUM,
                "threads": request.threads,
            }
            if variant in _PEERS:
                if not any(folder.iterdir()):
                    body = description.without_rescaling(network.build(size))
                    description.write(body, folder)
                one.build(
                    folder=str(folder),
                    quantized=variant == "tfmot_qat",
                    classes=networks.CLASSES,
                    **common,
                )
            else:
                one.build(network=network.name, variant=variant, size=size, **common)
        taken = turns.take(workers, plan, case)
        memory = {variant: one.memory() for variant, one in workers.items()}
        profiles = {variant: one.profile() for variant, one in workers.items()}
    about = {
        "case": case,
        "network": network.name,
        "size": list(size),
        "batch": batch,
    }
    return [
        {**about, **_measured(taken, memory, variant), "profile_seconds": profiles[variant]}
        for variant in variants
    ]


def profile_table(measured: Sequence[Row]) -> str:
    """Returns what ours spent a step on, a line for each kind of op and a column a variant."""
    ours = [row for row in measured if row["profile_seconds"]]

    def column(row: Row) -> Column:
        spent = row["profile_seconds"]
        every = sum(spent.values())

        def text(line: Row) -> str:
            seconds = every if line["kind"] == "all ops" else spent[line["kind"]]
            return f"{turns.duration(seconds)} {seconds / every:4.0%}"

        return Column(title=VARIANTS[row["variant"]], text=text)

    kinds = Column(title=f"{ours[0]['case']}, by op", text=lambda line: line["kind"], left=True)
    lines = [{"kind": kind} for kind in (*ours[0]["profile_seconds"], "all ops")]
    return table(lines, (kinds, *map(column, ours)))


def _started(request: Request, network: networks.Network, variant: str) -> worker.Worker:
    name = f"{network.name}, {VARIANTS[variant]}"
    if variant not in _PEERS:
        return worker.ours(name, "training_worker")
    assert request.peers_python is not None
    return worker.of_peers(name, request.peers_python, "tfmot_training")


def _measured(
    taken: Mapping[str, Sequence[Turn]], memory: Mapping[str, int], variant: str
) -> dict[str, Any]:
    mine = taken[variant]
    return {
        "variant": variant,
        "step_seconds": Spread.of(all_seconds(mine)).median,
        **turns.ratio_fields(taken, variant, BASE),
        "cpu_seconds": Spread.of([turn.cpu_seconds for turn in mine]).median,
        "memory_bytes": memory[variant],
        "memory_ratio_to_float32": memory[variant] / memory[BASE],
        "loss": mine[-1].value,
        "steps": len(all_seconds(mine)),
        "rounds": [turn.median for turn in mine],
    }
