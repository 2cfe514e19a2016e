"""The suite inference: what one image costs on LiteRT's default kernels.

Every file holds the same float network with the same weights: as it is, quantized by TensorFlow's
converter after training, by tfmot, and by ours. Each runs in a process of its own, which has
nothing but LiteRT in it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from tfquantseg.benchmark import latency, networks, turns, worker
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
    "float32": "float32",
    "stock_ptq": "int8, stock post-training",
    "tfmot_qat": "int8, tfmot QAT",
    "ours": "int8, ours",
}
"""By name, what is measured. The first is what the others are compared with, and always runs."""

BASE = "float32"
_OURS = ("ours",)
_PEERS = ("tfmot_qat",)
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
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _write(request, network, size, variants, folder)
        measured = latency.measure(
            {variant: folder / f"{variant}.tflite" for variant in variants},
            BASE,
            case,
            rounds=request.rounds or latency.ROUNDS,
            threads=request.threads,
            titles=VARIANTS,
        )
    about = {"case": case, "network": network.name, "size": list(size)}
    return [{**about, "variant": variant, **fields} for variant, fields in measured.items()]


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
