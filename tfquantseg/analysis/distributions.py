"""How values lie, and on which levels of their grids: the paper's Figures 3 and 6."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfquantseg.analysis.figure import Figure
from tfquantseg.analysis.observed import FORWARD, LETTERS, Observed
from tfquantseg.analysis.plot import COLOURS, Bar, Panel, Series, bars, image, panels

_NAMES = {
    "W": "W, weights",
    "A": "A, activations",
    "E1": "E1, errors of activations",
    "E2": "E2, errors at convolutions or x_hat",
    "G": "G, gradients of weights",
}
_EDGES = np.arange(-12.0, 4.25, 0.25)  # of the histograms, powers of ten
_HALF_STEP = 2.0**-8  # of an 8-bit grid on -1..1: what is smaller becomes zero there


def distributions(observed: Sequence[Observed], title: str) -> Figure:
    """Figure 3: the magnitudes of W, A, E1, E2 and G, all layers together.

    Beside them stands what a constant 8-bit grid on -1..1 (Eq 2) would do: values below half its
    step become zero, the paper's first failure mode, and those beyond 1 are clipped, its second.

    Args:
        observed: of one step.
        title: of the picture.
    """
    parts = []
    rows: list[tuple[Any, ...]] = []
    for letter, group in _by_letter(observed).items():
        sizes = np.abs(np.concatenate([one.values for one in group]))
        zero = float(np.mean(sizes == 0))
        below = float(np.mean((sizes > 0) & (sizes < _HALF_STEP)))
        beyond = float(np.mean(sizes > 1))
        shares = _histogram(sizes, len(sizes))
        rows += [(letter, low, high, share) for low, high, share in zip(*shares, strict=True)]
        rows += [(letter, name, "", share) for name, share in _named(zero, below, beyond)]
        parts.append(
            Panel(
                title=_NAMES[letter],
                about=(f"{zero:.1%} zero", f"{below:.1%} too small", f"{beyond:.1%} beyond 1"),
                x="magnitude, powers of ten",
                y="share, %",
                series=(_steps(shares[2], "", _colour(letter)),),
                x_range=(-12.0, 4.0),
                rules=((float(np.log10(_HALF_STEP)), ""), (0.0, "")),
            )
        )
    notes = (
        "Dotted: half a step of the 8-bit grid on -1..1, and 1. Without a scale, what lies to the "
        "left becomes zero (too small), and what lies to the right is clipped. The first and the "
        "last bin hold what lies beyond them.",
    )
    return Figure(
        "distributions",
        image(panels(title, parts, notes=notes)),
        ("object", "from_power_of_ten", "to_power_of_ten", "share"),
        tuple(rows),
    )


def levels(observed: Sequence[Observed], title: str) -> Figure:
    """The integers that W, A, E1, E2 and G became, all layers together.

    Args:
        observed: of one step of a quantized network.
        title: of the picture.

    Raises:
        ValueError: nothing is quantized.
    """
    parts, rows = [], []
    for letter, group in _by_letter(_quantized(observed)).items():
        integers = np.concatenate([one.integers for one in group if one.integers is not None])
        used, counts = np.unique(integers, return_counts=True)
        shares = counts / counts.sum()
        rows += [
            (letter, int(level), float(share)) for level, share in zip(used, shares, strict=True)
        ]
        zero = float(shares[used == 0].sum())
        most = float(np.abs(used).max())
        places = np.arange(-most, most + 1)
        heights = np.zeros(len(places))
        heights[(used + most).astype(int)] = 100 * shares
        # Zero is often most of all: its share stands in the title, the others fill the panel.
        top = float(heights[places != 0].max(initial=0.0)) or 1.0
        parts.append(
            Panel(
                title=_NAMES[letter],
                about=(f"{len(used)} levels", f"{zero:.1%} zero"),
                x="level",
                y="share, %",
                series=(
                    Series(
                        name="",
                        kind="steps",
                        x=[*(places - 0.5), most + 0.5],
                        y=np.minimum(heights, 1.05 * top).tolist(),
                        colour=_colour(letter),
                    ),
                ),
                y_range=(0.0, 1.1 * top),
            )
        )
    return Figure("levels", image(panels(title, parts)), ("object", "level", "share"), tuple(rows))


def zeroed(observed: Sequence[Observed], title: str) -> Figure:
    """Which share of the values not zero became zero, layer by layer.

    Args:
        observed: of one step of a quantized network.
        title: of the picture.

    Raises:
        ValueError: nothing is quantized.
    """
    found = _quantized(observed)
    lines = [
        Bar(name=f"{one.owner} {one.letter}", value=100 * one.zeroed, colour=_colour(one.letter))
        for one in found
    ]
    return Figure(
        "zeroed",
        image(
            bars(title, lines, "share of the values not zero that became zero, %", limits=(0, 100))
        ),
        ("layer", "object", "share"),
        tuple((one.owner, one.letter, one.zeroed) for one in found),
    )


def gradients(observed: Sequence[Observed], title: str) -> Figure:
    """Figure 6: the gradients of the most compact layer and of the most scattered one.

    A layer is as compact as the standard deviation of log10|G| over its values not zero is small.

    Args:
        observed: of one step.
        title: of the picture.

    Raises:
        ValueError: fewer than two layers have a gradient that is not zero.
    """
    spreads = {}
    for one in observed:
        if one.letter == "G":
            sizes = np.abs(one.values[one.values != 0])
            if len(sizes) > 1:
                spreads[one.owner] = (float(np.std(np.log10(sizes))), np.abs(one.values))
    if len(spreads) < 2:
        raise ValueError(
            f"{title}: {len(spreads)} layers have gradients that are not zero; the figure compares "
            "two. Take a checkpoint of a network that still learns."
        )
    ordered = sorted(spreads, key=lambda owner: spreads[owner][0])
    series, rows = [], []
    for place, owner in (("compact", ordered[0]), ("scattered", ordered[-1])):
        spread, sizes = spreads[owner]
        low, high, shares = _histogram(sizes, len(sizes))
        colour = COLOURS[0] if place == "compact" else COLOURS[1]
        series.append(_steps(shares, f"{owner}, most {place}", colour))
        rows += [
            (place, owner, spread, first, last, share)
            for first, last, share in zip(low, high, shares, strict=True)
        ]
    panel = Panel(
        title=f"Gradients: medians lie {_decades(spreads):.1f} powers of ten apart",
        x="magnitude, powers of ten",
        y="share, %",
        series=tuple(series),
        x_range=(-12.0, 4.0),
    )
    return Figure(
        "gradients",
        image(panels(title, [panel])),
        ("which", "layer", "deviation", "from_power_of_ten", "to_power_of_ten", "share"),
        tuple(rows),
    )


def _decades(spreads: dict[str, tuple[float, np.ndarray]]) -> float:
    medians = [float(np.median(np.log10(sizes[sizes > 0]))) for _, sizes in spreads.values()]
    return max(medians) - min(medians)


def _by_letter(observed: Sequence[Observed]) -> dict[str, list[Observed]]:
    groups = {letter: [one for one in observed if one.letter == letter] for letter in LETTERS}
    return {letter: group for letter, group in groups.items() if group}


def _quantized(observed: Sequence[Observed]) -> list[Observed]:
    found = [one for one in observed if one.integers is not None]
    if not found:
        raise ValueError(
            "Nothing of this run is quantized, so that there are no levels to show; give a "
            "--workdir of another policy than FLOAT, or other --figures."
        )
    return found


def _histogram(sizes: np.ndarray, total: int) -> tuple[list[float], list[float], list[float]]:
    """Edges and shares of the magnitudes not zero; what is outside counts at the ends."""
    powers = np.log10(sizes[sizes > 0])
    counts, _ = np.histogram(np.clip(powers, _EDGES[0], _EDGES[-1]), _EDGES)
    return _EDGES[:-1].tolist(), _EDGES[1:].tolist(), (counts / total).tolist()


def _named(zero: float, below: float, beyond: float) -> list[tuple[str, float]]:
    return [("zero", zero), ("below_half_a_step", below), ("beyond_1", beyond)]


def _steps(shares: Sequence[float], name: str, colour: tuple[int, int, int]) -> Series:
    heights = [100 * share for share in shares]
    return Series(name=name, kind="steps", x=_EDGES.tolist(), y=heights, colour=colour)


def _colour(letter: str) -> tuple[int, int, int]:
    """As in the paper: blue forward, red backward."""
    return COLOURS[0] if letter in FORWARD else COLOURS[1]
