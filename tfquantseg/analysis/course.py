"""How a run went: the paper's Figures 2, 8, 9 and 12."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from tfquantseg.analysis.figure import Figure
from tfquantseg.analysis.observed import Observed
from tfquantseg.analysis.plot import COLOURS, Bar, Panel, Series, bars, image, panels
from tfquantseg.layers import BatchNorm

DECODER = r"(fc\d|score|upscore|decode|up\d|aspp|logits).*"
"""Names of the decoder's layers in the networks of `tfquantseg.models`; as in the paper, fc too."""
_TRANSPOSED = r"(upscore|up\d).*"  # of them, those whose weights start bilinear

_SMOOTH = 25  # steps over which a loss is averaged
_BINS = 61  # of a histogram of weights
_LIMIT = 2.0  # of mu, sigma, gamma and beta in the paper


def loss(logs: Mapping[str, Sequence[Mapping[str, str]]], title: str) -> Figure:
    """Figure 8: the training loss of several runs, and their mIoU where they were evaluated.

    Args:
        logs: by run, the rows of its log.
        title: of the picture.

    Raises:
        ValueError: a log is empty.
    """
    curves, scores, rows = [], [], []
    for number, (name, log) in enumerate(logs.items()):
        if not log:
            raise ValueError(f"{name}: the log holds no step yet; let the training run on.")
        colour = COLOURS[number % len(COLOURS)]
        steps = [int(row["step"]) for row in log]
        losses = np.array([float(row["loss"]) for row in log])
        smooth = _smoothed(losses)
        evaluated = [(int(row["step"]), 100 * float(row["miou"])) for row in log if row["miou"]]
        rows += [
            (name, step, value, mean, row["miou"])
            for step, value, mean, row in zip(steps, losses, smooth, log, strict=True)
        ]
        curves.append(
            Series(name=name, kind="line", x=steps, y=np.log10(smooth).tolist(), colour=colour)
        )
        if evaluated:
            x, y = zip(*evaluated, strict=True)
            scores.append(Series(name=name, kind="points", x=x, y=y, colour=colour))
    parts = [
        Panel(
            title=f"Training loss, mean of {_SMOOTH} steps",
            x="step",
            y="powers of ten",
            series=tuple(curves),
        )
    ]
    if scores:
        parts.append(Panel(title="Validation", x="step", y="mIoU, %", series=tuple(scores)))
    columns = ("run", "step", "loss", f"mean_of_{_SMOOTH}", "miou")
    return Figure("loss", image(panels(title, parts)), columns, tuple(rows))


def magnitudes(observed: Mapping[int, Sequence[Observed]], title: str) -> Figure:
    """Figure 9: the largest gradient of the layers where it is largest and smallest, by step.

    Args:
        observed: by step, of the initial network and of each checkpoint.
        title: of the picture.
    """
    rows, ends = [], []
    for step, found in sorted(observed.items()):
        largest = {
            one.owner: float(np.abs(one.values).max(initial=0.0))
            for one in found
            if one.letter == "G"
        }
        rows += [(step, owner, size) for owner, size in largest.items()]
        some = [size for size in largest.values() if size > 0]
        if some:
            ends.append((step, float(np.log10(max(some))), float(np.log10(min(some)))))
    if not ends:
        raise ValueError(f"{title}: every gradient is zero.")
    steps, most, least = zip(*ends, strict=True)
    panel = Panel(
        title="Largest |G| of a layer",
        x="step",
        y="powers of ten",
        series=(
            Series(name="largest layer", kind="points", x=steps, y=most, colour=COLOURS[1]),
            Series(name="smallest layer", kind="points", x=steps, y=least, colour=COLOURS[0]),
        ),
    )
    notes = ("Of the initial network and of each checkpoint that the run has kept.",)
    picture = image(panels(title, [panel], notes=notes))
    return Figure("magnitudes", picture, ("step", "layer", "max_G"), tuple(rows))


def weights(
    first: Sequence[Observed], last: Sequence[Observed], steps: tuple[int, int], title: str
) -> Figure:
    """Figure 12: the weights of encoder and decoder, at the beginning and at the end.

    The transposed convolutions of the decoder, whose weights the paper shows, have panels of their
    own too.

    Args:
        first: of the initial network.
        last: of the trained one.
        steps: of the two.
        title: of the picture.

    Raises:
        ValueError: the network has no layer that is named as one of a decoder.
    """
    parts, rows = [], []
    stages = list(zip(steps, (first, last), strict=True))
    for part, pattern in (
        ("encoder", rf"(?!{DECODER}$).*"),
        ("decoder", DECODER),
        ("transposed convolutions", _TRANSPOSED),
    ):
        for step, found in stages:
            values = [
                one.values
                for one in found
                if one.letter == "W" and re.fullmatch(pattern, one.owner)
            ]
            if not values and pattern == _TRANSPOSED:
                continue
            if not values:
                raise ValueError(
                    f"No convolution of this network belongs to its {part}: those whose name "
                    f"matches {DECODER!r} are the decoder's, all others the encoder's. Leave out "
                    "the figure weights."
                )
            flat = np.concatenate(values)
            reach = float(np.quantile(np.abs(flat), 0.999, method="higher")) or 1.0
            edges = np.linspace(-reach, reach, _BINS + 1)
            counts, _ = np.histogram(flat, edges)
            shares = counts / len(flat)
            rows += [
                (part, step, low, high, share)
                for low, high, share in zip(
                    edges[:-1].tolist(), edges[1:].tolist(), shares.tolist(), strict=True
                )
            ]
            parts.append(
                Panel(
                    title=f"W, {part}, step {step}: deviation {np.std(flat):.3g}",
                    x="weight",
                    y="share, %",
                    series=(
                        Series(name="", kind="steps", x=edges.tolist(), y=(100 * shares).tolist()),
                    ),
                    y_range=(0.0, 105 * float(shares.max())),
                )
            )
    notes = ("At most one weight in a thousand lies outside each panel.",)
    columns = ("part", "step", "from", "to", "share")
    return Figure("weights", image(panels(title, parts, notes=notes)), columns, tuple(rows))


def norms(model: keras.Model, title: str) -> Figure:
    """Figure 2: quartiles of batch norm's sigma, mu, gamma and beta, all layers together.

    Args:
        model: float or quantized, as a checkpoint holds it.
        title: of the picture.

    Raises:
        ValueError: the network has no batch norm.
    """
    found: dict[str, list[np.ndarray]] = {"sigma": [], "mu": [], "gamma": [], "beta": []}
    for layer in model.layers:
        if isinstance(layer, BatchNorm):
            mu, sigma, gamma, beta = layer.quantized_statistics()
        elif isinstance(layer, keras.layers.BatchNormalization):
            mu = np.asarray(layer.moving_mean)
            sigma = np.sqrt(np.asarray(layer.moving_variance))
            gamma = np.ones_like(mu) if layer.gamma is None else np.asarray(layer.gamma)
            beta = np.zeros_like(mu) if layer.beta is None else np.asarray(layer.beta)
        else:
            continue
        for name, value in (("sigma", sigma), ("mu", mu), ("gamma", gamma), ("beta", beta)):
            found[name].append(value)
    if not found["mu"]:
        raise ValueError("This network has no batch norm; leave out the figure norms.")
    lines, rows = [], []
    for name, parts in found.items():
        values = np.concatenate(parts).astype(np.float64)
        least, low, median, high, most = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist()
        beyond = float(np.mean(np.abs(values) > _LIMIT))
        rows.append((name, least, low, median, high, most, beyond))
        lines.append(
            Bar(
                name=f"{name}, {beyond:.0%} beyond 2",
                value=median,
                low=low,
                high=high,
                least=least,
                most=most,
            )
        )
    rules = ((-_LIMIT, "-2"), (_LIMIT, "2"))
    notes = ("Boxes: quartiles; lines: smallest to largest. The paper's grids end at 2.",)
    columns = ("object", "least", "quartile_1", "median", "quartile_3", "most", "share_beyond_2")
    picture = image(bars(title, lines, "value", rules=rules, notes=notes))
    return Figure("norms", picture, columns, tuple(rows))


def _smoothed(values: np.ndarray) -> np.ndarray:
    """The mean of each value and of those before it, of 25 at most."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - _SMOOTH, 0)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))
