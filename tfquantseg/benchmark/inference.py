"""The suite inference: what one image costs on LiteRT's default kernels.

Every file holds the same float network with the same weights: as it is, quantized by TensorFlow's
converter after training, by tfmot, and by ours. Each runs in a process of its own, which has
nothing but LiteRT in it.
"""

from __future__ import annotations

import collections
import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfquantseg.benchmark import networks, turns, worker
from tfquantseg.benchmark.pairs import Spread, Turn, all_seconds, percentile
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
from tfquantseg.export import read_graph
from tfquantseg.models.framing import Size

VARIANTS = {
    "float32": "float32",
    "stock_ptq": "int8, stock post-training",
    "tfmot_qat": "int8, tfmot QAT",
    "ours": "int8, ours",
}
"""By name, what is measured. The first is what the others are compared with, and always runs."""

BASE = "float32"
_OURS = ("ours",)
_PEERS = ("tfmot_qat",)
_ROUNDS = 30
_FOLLOWED = 3  # passes in which tfmot's quantizers see activations
_NOTES = (
    "Latency is the median of one image. Ratios are medians over the rounds, in brackets the "
    "quartiles: half of the rounds lie between.",
    "Memory is the growth of the process's peak resident memory after importing LiteRT: the file, "
    "its packed weights and the activations.",
)
_COLUMNS = (
    Column(title="network", text=lambda row: row["case"], left=True),
    Column(title="file", text=lambda row: VARIANTS[row["variant"]], left=True),
    Column(title="latency", text=lambda row: turns.duration(row["latency_seconds"])),
    Column(title="p95", text=lambda row: turns.duration(row["p95_seconds"])),
    Column(title="to float32", text=turns.ratio_text),
    Column(title="size", text=lambda row: turns.megabytes(row["file_bytes"])),
    Column(title="memory", text=lambda row: turns.megabytes(row["memory_bytes"])),
)
_QUANTITIES = (
    Quantity(
        title="latency of an image",
        key="latency_seconds",
        text=lambda row: (
            f"{turns.duration(row['latency_seconds'])}  {row['ratio_to_float32']:.2f}x"
        ),
    ),
    Quantity(
        title="file size",
        key="file_bytes",
        text=lambda row: turns.megabytes(row["file_bytes"]),
    ),
    Quantity(
        title="memory",
        key="memory_bytes",
        text=lambda row: turns.megabytes(row["memory_bytes"]),
    ),
)


def run(request: Request) -> Report:
    """Measures every file of every network and size.

    Raises:
        ValueError: a name is not known, a size does not fit, or the peers' interpreter is none.
        ChildProcessError: a worker ended.
    """
    if request.batches:
        raise ValueError("--batch is not for --suite=inference: a file runs one image at a time.")
    refuse_pieces(request, "inference")
    chosen_networks = chosen("network", request.networks, networks.names())
    variants, left_out = worker.available(
        chosen("variant", request.variants, VARIANTS), BASE, _PEERS, request.peers_python
    )
    rows: list[Row] = []
    for name in chosen_networks:
        network = networks.network(name)
        for size in request.sizes or (network.size,):
            measured = _case(request, network, size, variants)
            request.say(table(measured, _COLUMNS) + "\n")
            rows += measured
    return Report(
        title="Inference: what an image costs",
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
    request: Request, network: networks.Network, size: Size, variants: Sequence[str]
) -> list[Row]:
    """Measures the files of one network at one size."""
    case = f"{network.name} {size[0]}x{size[1]}"
    # The first image of a turn is not counted: it finds the caches full of another file's weights.
    plan = turns.Plan(rounds=request.rounds or _ROUNDS, seconds=0.1, warm_up=3, dropped=1)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _write(request, network, size, variants, folder)
        files = {variant: folder / f"{variant}.tflite" for variant in variants}
        workers = {}
        for variant, file in files.items():
            one = worker.ours(f"{network.name}, {VARIANTS[variant]}", "file_worker")
            workers[variant] = stack.enter_context(one)
            one.build(file=str(file), threads=request.threads)
        taken = turns.take(workers, plan, case)
        memory = {variant: one.memory() for variant, one in workers.items()}
        about = {"case": case, "network": network.name, "size": list(size)}
        return [
            {**about, **_measured(taken, memory[variant], files[variant], variant)}
            for variant in variants
        ]


def _write(
    request: Request,
    network: networks.Network,
    size: Size,
    variants: Sequence[str],
    folder: Path,
) -> None:
    """Writes VARIANT.tflite of each variant."""
    request.say(f"{network.name}: writing files of {', '.join(variants)}")
    with worker.ours(f"{network.name}, writing its files", "files_worker") as writer:
        writer.build(network=network.name, size=size, folder=str(folder), variants=list(variants))
    for variant in variants:
        if variant in _PEERS:
            assert request.peers_python is not None
            name = f"{network.name}, writing {VARIANTS[variant]}"
            with worker.of_peers(name, request.peers_python, "tfmot_file") as writer:
                file = folder / f"{variant}.tflite"
                writer.build(folder=str(folder), file=str(file), steps=_FOLLOWED)


def _measured(
    taken: Mapping[str, Sequence[Turn]], memory: int, file: Path, variant: str
) -> dict[str, Any]:
    mine = all_seconds(taken[variant])
    operators = collections.Counter(one.op for one in read_graph(file).operators)
    return {
        "variant": variant,
        "latency_seconds": Spread.of(mine).median,
        "p95_seconds": percentile(mine, 95),
        **turns.ratio_fields(taken, variant, BASE),
        "file_bytes": file.stat().st_size,
        "memory_bytes": memory,
        "operators": dict(operators.most_common()),
        "images": len(mine),
        "rounds": [turn.median for turn in taken[variant]],
    }
