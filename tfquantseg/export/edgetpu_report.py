"""The preflight's result: where each operator will run, as a page for people and as JSON."""

import collections
import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from tfquantseg.export.edgetpu_limits import Finding, by
from tfquantseg.export.graph_file import Graph, Operator, Tensor

ON_CHIP_BYTES = int(6.9 * 2**20)
"""About what the compiler finds free for weights; a program's own size takes from it."""

TPU = "TPU"
IN_DOUBT = "TPU, in doubt"
BEFORE = "CPU: before the TPU"
NOT_TAKEN = "CPU: not taken"
AFTER_A_CUT = "CPU: after a cut"

_FOLLOWS = Finding(
    what="It could be taken, but what it reads comes from the CPU.",
    change="Mend the cut before it.",
)
_INTRODUCTION = """\
A prediction by rules, each documented by Coral or inferred from what its compiler did to other \
models; `edgetpu_compiler` alone decides."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Placed:
    """One operator, and where it will run.

    Attributes:
        index: its place in the order in which operators run.
        operator: the operator.
        place: where it is predicted to run: "TPU"; "TPU, in doubt" where it, or one before it that
            it needs, might not be taken; "CPU: before the TPU"; "CPU: not taken"; or "CPU: after a
            cut" for one that could be taken.
        refusals: why the compiler cannot take it; empty if it can.
        doubts: why the compiler might not take it all the same.
        remarks: what is worth knowing of it, wherever it runs.
    """

    index: int
    operator: Operator
    place: str
    refusals: tuple[Finding, ...]
    doubts: tuple[Finding, ...]
    remarks: tuple[Finding, ...]

    @property
    def on_tpu(self) -> bool:
        """Whether it is predicted to run on the TPU."""
        return self.place in (TPU, IN_DOUBT)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """What is predicted of a file; printed, it is a page in Markdown.

    Attributes:
        graph: what the file holds.
        placed: every operator, in the order in which they run.
        findings: what holds for the file as a whole.
    """

    graph: Graph
    placed: tuple[Placed, ...]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether every operator is predicted to run on the TPU, and none is in doubt."""
        return all(placed.place == TPU for placed in self.placed)

    @property
    def headline(self) -> str:
        """How many operators run on the TPU, in a few words."""
        doubted = self.in_doubt
        certain = len(self.placed) - len(self.cpu) - len(doubted)
        said = f"{certain} of {len(self.placed)} operators on the TPU"
        if not doubted:
            return said
        only_last = doubted == self.placed[-1:] and self.resize_is_for_host
        which = "the last resize" if only_last else f"the first: {_label(doubted[0])}"
        return f"{said} for certain, {len(doubted)} in doubt ({which})"

    @property
    def in_doubt(self) -> tuple[Placed, ...]:
        """The operators that are predicted to run on the TPU, and might not."""
        return tuple(placed for placed in self.placed if placed.place == IN_DOUBT)

    @property
    def resize_is_for_host(self) -> bool:
        """Whether the file ends in a resize that is not certain to run on the TPU."""
        last = self.placed[-1]
        return last.operator.op.startswith("RESIZE_") and last.place != TPU

    @property
    def cpu(self) -> tuple[Placed, ...]:
        """The operators that stay on the CPU."""
        return tuple(placed for placed in self.placed if not placed.on_tpu)

    @property
    def cuts(self) -> tuple[Placed, ...]:
        """The operators at which the TPU's subgraph ends: not taken, and after no other such."""
        left = [placed for placed in self.cpu if placed.place != BEFORE]
        written = {tensor.index for placed in left for tensor in placed.operator.outputs}
        return tuple(
            placed
            for placed in left
            if placed.refusals and all(t.index not in written for t in placed.operator.inputs)
        )

    @property
    def tpu_inputs(self) -> tuple[Tensor, ...]:
        """The tensors that the TPU's subgraph reads, constants not counted."""
        ops = [placed.operator for placed in self.placed if placed.on_tpu]
        written = {tensor.index for op in ops for tensor in op.outputs}
        read = {tensor.index: tensor for op in ops for tensor in op.activations}
        return tuple(tensor for index, tensor in read.items() if index not in written)

    @property
    def tpu_outputs(self) -> tuple[Tensor, ...]:
        """The tensors that the TPU's subgraph hands to the CPU or to the user."""
        wanted = {t.index for placed in self.cpu for t in placed.operator.inputs}
        wanted |= {tensor.index for tensor in self.graph.outputs}
        return tuple(
            tensor
            for placed in self.placed
            if placed.on_tpu
            for tensor in placed.operator.outputs
            if tensor.index in wanted
        )

    @property
    def largest_activation(self) -> Tensor | None:
        """The largest tensor that the TPU reads or writes; None if nothing runs on it."""
        ops = [placed.operator for placed in self.placed if placed.on_tpu]
        tensors = [tensor for op in ops for tensor in op.activations + op.outputs]
        return max(tensors, key=lambda tensor: tensor.bytes, default=None)

    def as_json(self) -> dict[str, Any]:
        """Returns everything as plain dicts and lists: ``ok``, ``cuts``, ``operators`` and more."""
        largest = self.largest_activation
        return {
            "file": self.graph.name,
            "ok": self.ok,
            "headline": self.headline,
            "operators_on_tpu": sum(placed.place == TPU for placed in self.placed),
            "operators_in_doubt": len(self.in_doubt),
            "operators_on_cpu": len(self.cpu),
            "cuts": [placed.index for placed in self.cuts],
            "tpu_inputs": [_tensor(tensor) for tensor in self.tpu_inputs],
            "tpu_outputs": [_tensor(tensor) for tensor in self.tpu_outputs],
            "weight_bytes": self.graph.weight_bytes,
            "on_chip_bytes": ON_CHIP_BYTES,
            "largest_activation": _tensor(largest) if largest else None,
            "min_runtime_version": self.graph.min_runtime_version,
            "findings": list(map(dataclasses.asdict, self.findings)),
            "operators": [
                {
                    "index": placed.index,
                    "op": placed.operator.op,
                    "version": placed.operator.version,
                    "on_tpu": placed.on_tpu,
                    "place": placed.place,
                    "inputs": [_tensor(tensor) for tensor in placed.operator.activations],
                    "outputs": [_tensor(tensor) for tensor in placed.operator.outputs],
                    "refusals": list(map(dataclasses.asdict, placed.refusals)),
                    "doubts": list(map(dataclasses.asdict, placed.doubts)),
                    "remarks": list(map(dataclasses.asdict, placed.remarks)),
                }
                for placed in self.placed
            ],
        }

    def __str__(self) -> str:
        """Returns the page."""
        return _page(self)


def _page(report: Report) -> str:
    """Returns the report in Markdown."""
    lines = [f"# Edge TPU preflight: {report.graph.name}", ""]
    lines += [f"**{report.headline}.** {_INTRODUCTION}", ""]
    lines += [*_facts(report), ""]
    if report.findings:
        lines += ["## The file", "", "| what | change | basis |", "|---|---|---|"]
        lines += [f"| {f.what} | {f.change} | {f.basis} |" for f in report.findings] + [""]
    if report.cpu:
        rows = ((p, p.refusals or (_FOLLOWS,)) for p in report.cpu)
        lines += ["## On the CPU", "", *_rows(rows), ""]
    if doubted := [p for p in report.placed if p.doubts]:
        lines += ["## In doubt", "", *_rows((p, p.doubts) for p in doubted), ""]
    if remarked := [p for p in report.placed if p.remarks]:
        lines += ["## Worth knowing", "", *_rows((p, p.remarks) for p in remarked), ""]
    lines += ["## All operators", "", "| operator | version | count | where |", "|---|---|---|---|"]
    kinds = collections.Counter((p.operator.op, p.operator.version, p.place) for p in report.placed)
    lines += [f"| {op} | {version} | {n} | {at} |" for (op, version, at), n in kinds.items()]
    return "\n".join([*lines, ""])


def _facts(report: Report) -> Iterator[str]:
    graph, largest = report.graph, report.largest_activation
    yield "| | |"
    yield "|---|---|"
    fits = "fit" if graph.weight_bytes <= ON_CHIP_BYTES else "do not fit"
    keeps = f"the chip keeps up to about {ON_CHIP_BYTES:,}"
    yield f"| weights | {graph.weight_bytes:,} bytes, which {fits}: {keeps} |"
    if largest:
        yield f"| largest activation | {by(largest.shape)}, {largest.bytes:,} bytes |"
    yield f"| runtime asked for | {graph.min_runtime_version or 'not said'} |"
    yield f"| the TPU reads | {_sizes(report.tpu_inputs)} |"
    yield f"| the TPU writes | {_sizes(report.tpu_outputs)} |"
    doubted = ", ".join(_label(placed) for placed in report.in_doubt if placed.doubts)
    perhaps = f"; perhaps at {doubted}" if doubted else ""
    yield f"| cut at | {', '.join(map(_label, report.cuts)) or 'nothing'}{perhaps} |"


def _rows(rows: Iterable[tuple[Placed, tuple[Finding, ...]]]) -> Iterator[str]:
    yield "| operator | its output | what | change | basis |"
    yield "|---|---|---|---|---|"
    for placed, findings in rows:
        size = _sizes(placed.operator.outputs)
        for finding in findings:
            yield (
                f"| {_label(placed)} | {size} | {finding.what} | {finding.change} | "
                f"{finding.basis} |"
            )


def _label(placed: Placed) -> str:
    return f"{placed.index} {placed.operator.op}"


def _sizes(tensors: tuple[Tensor, ...]) -> str:
    return ", ".join(f"{by(tensor.shape)} {tensor.type}" for tensor in tensors) or "nothing"


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "type": tensor.type,
        "bytes": tensor.bytes,
    }
