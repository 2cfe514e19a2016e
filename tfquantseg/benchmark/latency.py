"""What an image costs by each of some `.tflite` files, run in turns by LiteRT's default kernels."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfquantseg.benchmark import turns, worker
from tfquantseg.benchmark.pairs import Spread, Turn, all_seconds, percentile
from tfquantseg.export import read_graph

ROUNDS = 30
"""Turns of each file, by default."""


def measure(
    files: Mapping[str, Path],
    base: str,
    case: str,
    *,
    rounds: int,
    threads: int,
    titles: Mapping[str, str],
) -> dict[str, dict[str, Any]]:
    """Runs each file in a process of its own, which has nothing but LiteRT in it.

    Args:
        files: by variant.
        base: the variant that is 1 in ratios, one of them.
        case: what they are of, for messages.
        rounds: turns of each.
        threads: that each may use.
        titles: by variant, how messages call it.

    Returns:
        By variant: ``latency_seconds``, ``p95_seconds``, ratios, ``file_bytes``, ``memory_bytes``,
        ``operators``, ``images``, and ``rounds``, the median of each.

    Raises:
        ChildProcessError: a worker ended.
    """
    # The first image of a turn is not counted: it finds the caches full of another file's weights.
    plan = turns.Plan(rounds=rounds, seconds=0.1, warm_up=3, dropped=1)
    with contextlib.ExitStack() as stack:
        workers = {}
        for variant, file in files.items():
            one = worker.ours(f"{case}, {titles[variant]}", "file_worker")
            workers[variant] = stack.enter_context(one)
            one.build(file=str(file), threads=threads)
        taken = turns.take(workers, plan, case)
        memory = {variant: one.memory() for variant, one in workers.items()}
    return {
        variant: _measured(taken, memory[variant], file, variant, base)
        for variant, file in files.items()
    }


def _measured(
    taken: Mapping[str, Sequence[Turn]], memory: int, file: Path, variant: str, base: str
) -> dict[str, Any]:
    mine = all_seconds(taken[variant])
    operators = collections.Counter(one.op for one in read_graph(file).operators)
    return {
        "latency_seconds": Spread.of(mine).median,
        "p95_seconds": percentile(mine, 95),
        **turns.ratio_fields(taken, variant, base),
        "file_bytes": file.stat().st_size,
        "memory_bytes": memory,
        "operators": dict(operators.most_common()),
        "images": len(mine),
        "rounds": [turn.median for turn in taken[variant]],
    }
