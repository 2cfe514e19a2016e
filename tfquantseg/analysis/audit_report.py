"""The report of an audit: what the operands of each product held, and which promise was broken."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

_LEGEND = """\
Operands: A activations, W weights, E errors, as the kernels of one training step received them.
Bits: of the smallest integer that holds all values, with u an unsigned one; 32 where a value is no
integer.
Zeros, clipped: share of the values that are 0, and that lie on the last integer of their grid,
where clipping would show.
A product has a line for each kernel: two where the layer is called twice, or where its error is two
integers of few bits each (E_grid="flag")."""


@dataclasses.dataclass(frozen=True)
class Operand:
    """What one operand of one product held.

    Attributes:
        bits: of the smallest integer that holds all values, in two's complement, or unsigned where
            the grid is; 32 where a value is not an integer.
        least: the smallest value.
        most: the largest value.
        zeros: share of the values that are zero.
        clipped: share of the values on the last integer that the promised bits hold, where
            clipping shows.
        unsigned: whether the integers lie on an unsigned grid, and none is negative.
    """

    bits: int
    least: float
    most: float
    zeros: float
    clipped: float
    unsigned: bool = False

    @property
    def bits_text(self) -> str:
        """The bits for tables, "u8" for those of unsigned integers."""
        return f"{'u' if self.unsigned else ''}{self.bits}"


@dataclasses.dataclass(frozen=True)
class Product:
    """One kernel that ran.

    Attributes:
        convolution: the layer's name.
        product: "forward", "input_gradient" or "weight_gradient".
        kernel: TensorFlow's name of its type.
        letters: the paper's letters of its two operands: A and W, W and E, or A and E; the other
            way round where the convolution is a transposed one.
        operands: what its two operands held.
        promised: the bits that the layer's policy promises of each.
    """

    convolution: str
    product: str
    kernel: str
    letters: tuple[str, str]
    operands: tuple[Operand, Operand]
    promised: tuple[int, int]

    @property
    def kept(self) -> bool:
        """Whether both operands need no more bits than promised."""
        return all(o.bits <= bits for o, bits in zip(self.operands, self.promised, strict=True))


@dataclasses.dataclass(frozen=True)
class Audit:
    """The products of one step, and what is wrong with them.

    Attributes:
        products: every convolution kernel of the step, in the graph's order.
        problems: sentences; empty if every promise was kept.
        taps: by owner/letter, the integers and the step, where they were asked for.
    """

    products: tuple[Product, ...]
    problems: tuple[str, ...]
    taps: Mapping[str, Mapping[str, np.ndarray]]

    @property
    def ok(self) -> bool:
        """Whether every promise was kept."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Returns ``ok``, ``share_of_operands_within_8_bits``, ``problems``, ``convolutions``."""
        by_name: dict[str, dict[str, Any]] = {}
        for product in self.products:
            entry = by_name.setdefault(product.convolution, {"name": product.convolution})
            times = 1 + sum(key.startswith(product.product) for key in entry)
            entry[product.product + (f"_{times}" if times > 1 else "")] = {
                "bits": [operand.bits for operand in product.operands],
                "promised": list(product.promised),
                "kernel": product.kernel,
                "operands": [
                    {"letter": letter, **dataclasses.asdict(operand)}
                    for letter, operand in zip(product.letters, product.operands, strict=True)
                ],
            }
        operands = [operand for product in self.products for operand in product.operands]
        within = sum(operand.bits <= 8 for operand in operands)
        return {
            "ok": self.ok,
            "share_of_operands_within_8_bits": within / max(len(operands), 1),
            "operands": len(operands),
            "problems": list(self.problems),
            "convolutions": list(by_name.values()),
        }

    def __str__(self) -> str:
        """Returns a table, one line a product, and what its columns mean."""
        rows = [("convolution", "product", "operands", "bits", "range", "", "zeros", "clipped")]
        for p in self.products:
            a, b = p.operands
            rows.append(
                (
                    p.convolution,
                    p.product,
                    " x ".join(p.letters),
                    f"{a.bits_text} x {b.bits_text}",
                    f"{a.least:.4g}..{a.most:.4g}",
                    f"{b.least:.4g}..{b.most:.4g}",
                    f"{a.zeros:.0%} {b.zeros:.0%}",
                    f"{a.clipped:.2%} {b.clipped:.2%}",
                )
            )
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join([*map(str.ljust, row[:3], widths), *map(str.rjust, row[3:], widths[3:])])
            for row in rows
        ]
        return "\n".join([*lines, "", _LEGEND])


def problems(products: Iterable[Product], expected: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Returns a sentence for each promise that was broken.

    Args:
        products: those that ran.
        expected: (layer, product) of those that had to.
    """
    found = []
    for product in products:
        if not product.kept:
            received = " x ".join(operand.bits_text for operand in product.operands)
            promised = " x ".join(str(bits) for bits in product.promised)
            found.append(
                f"{product.convolution}, {product.product}: {received} bits, promised {promised}."
            )
    ran = {(product.convolution, product.product) for product in products}
    for layer, name in expected:
        if (layer, name) not in ran:
            found.append(f"{layer}, {name}: no such kernel ran.")
    return tuple(found)
