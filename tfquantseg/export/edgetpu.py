"""Preflight: what the Edge TPU's compiler will make of a `.tflite` file, told without the compiler.

The compiler makes one subgraph for the TPU. As soon as an operator cannot be taken, it and all that
depends on it run on the CPU, supported or not; what does not depend on it stays with the TPU. This
is how TensorFlow Lite parts a graph for a delegate, of whose parts the compiler keeps the first.
`edgetpu_rules` says which operators are taken, and how that is known.
"""

import dataclasses
import re

from tfquantseg.export.edgetpu_limits import INFERRED, Finding
from tfquantseg.export.edgetpu_report import (
    AFTER_A_CUT,
    BEFORE,
    IN_DOUBT,
    NOT_TAKEN,
    ON_CHIP_BYTES,
    TPU,
    Placed,
    Report,
)
from tfquantseg.export.edgetpu_rules import doubts, refusals, remarks
from tfquantseg.export.graph_file import Graph

COMPILED = "CUSTOM:edgetpu-custom-op"

_NEWEST_RUNTIME = (2, 5, 0)
# 257 x 257 x 96 of Coral's DeepLab with MobileNet v2, the largest that is known to be taken.
_ACTIVATION_TAKEN = 257 * 257 * 96


def preflight(graph: Graph) -> Report:
    """Predicts what the Edge TPU's compiler will do with a file.

    Example:
        >>> print(preflight(read_graph("model_int8.tflite")))

    Args:
        graph: what the file holds.

    Returns:
        Each operator's place with the reasons, the cuts, and what holds for the whole file. The
        compiler has limits that nobody has published: `doubts` name where one may be near.

    Raises:
        ValueError: the compiler has made this file, or it holds no operator.
    """
    if any(operator.op == COMPILED for operator in graph.operators):
        raise ValueError(
            f"{graph.name} was made by edgetpu_compiler; give the file that the compiler was given."
        )
    if not graph.operators:
        raise ValueError(f"{graph.name} holds no operator: there is nothing to run.")
    reasons = [refusals(operator) for operator in graph.operators]
    doubted = [
        () if reason else doubts(operator)
        for reason, operator in zip(reasons, graph.operators, strict=True)
    ]
    # Certain is what stays on the TPU also where nothing that is in doubt is taken.
    at_best = _places(graph, [not reason for reason in reasons])
    at_worst = _places(graph, [not (reasons[i] or doubted[i]) for i in range(len(reasons))])
    places = [
        IN_DOUBT if best == TPU and worst != TPU else best
        for best, worst in zip(at_best, at_worst, strict=True)
    ]
    placed = tuple(
        Placed(
            index=index,
            operator=operator,
            place=place,
            refusals=reason,
            doubts=doubt,
            remarks=remarks(operator),
        )
        for index, (operator, reason, doubt, place) in enumerate(
            zip(graph.operators, reasons, doubted, places, strict=True)
        )
    )
    report = Report(graph=graph, placed=placed, findings=())
    return dataclasses.replace(report, findings=_findings(report))


def _places(graph: Graph, taken: list[bool]) -> list[str]:
    """Returns where each operator runs, given which ones can be taken.

    The TPU gets the first part of the graph; the CPU has one before only if the very first operator
    cannot be taken.
    """
    places = [AFTER_A_CUT if takes else NOT_TAKEN for takes in taken]
    missing = {tensor.index for operator in graph.operators for tensor in operator.outputs}
    for wanted, place in ((False, BEFORE), (True, TPU)):
        if place == BEFORE and taken[0]:
            continue
        for index, operator in enumerate(graph.operators):
            ready = all(tensor.index not in missing for tensor in operator.inputs)
            if taken[index] == wanted and ready:
                places[index] = place
                missing.difference_update(tensor.index for tensor in operator.outputs)
    return places


def _findings(report: Report) -> tuple[Finding, ...]:
    """Returns what holds for the file as a whole."""
    found = []
    graph, largest = report.graph, report.largest_activation
    version = graph.min_runtime_version
    if version and not _is_at_most(version, _NEWEST_RUNTIME):
        newest = ".".join(map(str, _NEWEST_RUNTIME))
        found.append(
            Finding(
                what=f"The file asks for runtime {version}; the compiler knows the operators of "
                f"{newest} and may refuse it whole.",
                change="Find the operators of a new version in the table of all, and avoid what "
                "makes them new.",
                basis=INFERRED,
            )
        )
    if graph.weight_bytes > ON_CHIP_BYTES:
        found.append(
            Finding(
                what=f"{graph.weight_bytes:,} bytes of weights; about {ON_CHIP_BYTES:,} stay on "
                "the chip, and the rest is sent to it for every image.",
                change="It runs all the same, slower; a narrower network fits.",
            )
        )
    if largest and largest.bytes > _ACTIVATION_TAKEN:
        found.append(
            Finding(
                what=f"The largest activation has {largest.bytes:,} bytes; of more than "
                f"{_ACTIVATION_TAKEN:,} none is known to be taken, and the compiler may stop with "
                '"large activation tensors".',
                change="Convert for a smaller height and width.",
                basis=INFERRED,
            )
        )
    return tuple(found)


def _is_at_most(version: str, newest: tuple[int, ...]) -> bool:
    if not re.fullmatch(r"\d+(\.\d+)*", version):
        return False
    return tuple(map(int, version.split("."))) <= newest
