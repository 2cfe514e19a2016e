"""What each object costs, ranked: a picture and its numbers, forward and backward."""

from __future__ import annotations

from collections.abc import Sequence

from tfquantseg.analysis.figure import Figure
from tfquantseg.analysis.plot import COLOURS, Bar, bars, image
from tfquantseg.analysis.sensitivity import BACKWARD, FORWARD, Finding

NAMES = ("sensitivity_forward", "sensitivity_backward")
_SHOWN = 40  # bars; the numbers are all in the file


def ranked(findings: Sequence[Finding], letters: Sequence[str]) -> list[Finding]:
    """Returns the findings of some objects, the costliest first."""
    chosen = [one for one in findings if one.letter in letters]
    return sorted(chosen, key=lambda one: (-one.cost, one.layer, one.letter))


def forward(findings: Sequence[Finding], title: str, loss: float) -> Figure:
    """Draws the rise of the loss of W and A.

    Args:
        findings: some of W or A.
        title: of the picture.
        loss: of the float network.
    """
    some = ranked(findings, FORWARD)
    drawn = bars(
        title,
        _bars(some, FORWARD),
        f"rise of the loss, which is {loss:.4g} in float32",
        notes=(*_left_out(some), "One object of one layer quantized, everything else in float32."),
    )
    rows = tuple((one.layer, one.letter, one.loss, one.miou) for one in some)
    return Figure(NAMES[0], image(drawn), ("layer", "object", "loss_rise", "miou_change"), rows)


def backward(findings: Sequence[Finding], title: str) -> Figure:
    """Draws the lost descent of E1, E2 and G.

    Args:
        findings: some of E1, E2 or G.
        title: of the picture.
    """
    some = ranked(findings, BACKWARD)
    drawn = bars(
        title,
        _bars(some, BACKWARD),
        "lost descent, 1 - cos of the gradients of all kernels",
        notes=(*_left_out(some), "One object of one layer quantized, everything else in float32."),
    )
    rows = tuple((one.layer, one.letter, one.lost, one.cosine, one.error) for one in some)
    columns = ("layer", "object", "lost_descent", "own_cosine", "own_relative_error")
    return Figure(NAMES[1], image(drawn), columns, rows)


def _bars(some: Sequence[Finding], letters: Sequence[str]) -> list[Bar]:
    return [
        Bar(
            name=f"{one.layer} {one.letter}",
            value=one.cost,
            colour=COLOURS[letters.index(one.letter)],
        )
        for one in some[:_SHOWN]
    ]


def _left_out(some: Sequence[Finding]) -> tuple[str, ...]:
    more = len(some) - _SHOWN
    return (f"The costliest {_SHOWN}; {more} more are in the numbers.",) if more > 0 else ()
