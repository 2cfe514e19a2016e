"""The score against the bits of master weights and updates: the paper's Figure 10."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from tfquantseg.analysis.figure import Figure
from tfquantseg.analysis.plot import COLOURS, Panel, Series, image, panels
from tfquantseg.policy import preset
from tfquantseg.sweep.summary import Mean
from tfquantseg.sweep.table import FINISHED, Row

_NEAR = 4  # points of mIoU below the best that are shown enlarged


def bits(rows: Mapping[str, Row]) -> Figure:
    """Figure 10: mIoU against k_U, mean and standard error over the seeds.

    Each configuration of which the table holds several k_U is a curve; where it holds the same one
    in float32, that is a dotted line. A run that diverged counts in no mean, and is told.

    Args:
        rows: of a sweep's table, by key.

    Raises:
        ValueError: the table holds no configuration with several k_U.
    """
    curves: dict[str, dict[int, list[Row]]] = {}
    floats: dict[str, list[Row]] = {}
    for row in rows.values():
        alike, k_U = _alike(row["config"])
        if k_U is None:
            floats.setdefault(_without_policy(row["config"]), []).append(row)
        else:
            curves.setdefault(alike, {}).setdefault(k_U, []).append(row)
    curves = {alike: points for alike, points in curves.items() if len(points) > 1}
    if not curves:
        raise ValueError(
            f"The table's {len(rows)} rows hold no configuration with several k_U; train the sweep "
            "figure10, or one of your own whose variants differ in k_U."
        )
    series, levels, notes = [], [], []
    numbers: list[tuple[Any, ...]] = []
    for number, points in enumerate(curves.values()):
        config = next(iter(points.values()))[0]["config"]
        name = f"{config['policy'].split()[0]}, {config['model']['name']}"
        xs, ys, errors = [], [], []
        for k_U, found in sorted(points.items()):
            mean = _miou(found)
            diverged = sum(row["outcome"] != FINISHED for row in found)
            numbers.append((name, k_U, *_numbers(mean), len(found), diverged))
            if diverged:
                notes.append(f"{name}, k_U {k_U}: {diverged} of {len(found)} runs diverged.")
            if mean is not None:
                xs.append(k_U)
                ys.append(100 * mean.mean)
                errors.append(100 * (mean.error or 0.0))
        colour = COLOURS[number % len(COLOURS)]
        series.append(Series(name=name, kind="points", x=xs, y=ys, errors=errors, colour=colour))
        alone = floats.get(_without_policy(config), [])
        mean = _miou(alone)
        if mean is not None:
            levels.append((100 * mean.mean, f"FLOAT, {config['model']['name']}"))
            numbers.append(
                (f"FLOAT, {config['model']['name']}", "", *_numbers(mean), len(alone), 0)
            )
    panel = Panel(
        title="mIoU and its standard error over seeds",
        x="k_U, bits of master weights and updates",
        y="mIoU, %",
        series=tuple(series),
        levels=tuple(dict(levels).items()),
    )
    best = max(max(one.y, default=0.0) for one in series)
    near = dataclasses.replace(
        panel,
        title=f"The same, the upper {_NEAR} points",
        y_range=(best - _NEAR, best + _NEAR / 4),
        # Names and values are in the first; here they would hide points.
        series=tuple(dataclasses.replace(one, name="") for one in series),
        levels=tuple((place, "") for place in dict(levels)),
    )
    picture = image(panels("mIoU against k_U", [panel, near], notes=notes))
    columns = ("configuration", "k_U", "miou", "standard_error", "runs", "diverged")
    return Figure("bits", picture, columns, tuple(numbers))


def _alike(config: dict[str, Any]) -> tuple[str, int | None]:
    """What a run has in common with those of other seeds and other k_U, and its k_U."""
    policy = preset(config["policy"])
    choices = {k: v for k, v in policy.to_dict().items() if k not in ("name", "k_U")}
    return json.dumps([_without_policy(config), choices], sort_keys=True), policy.k_U


def _without_policy(config: dict[str, Any]) -> str:
    others = {key: value for key, value in config.items() if key not in ("policy", "seed")}
    return json.dumps(others, sort_keys=True)


def _miou(rows: list[Row]) -> Mean | None:
    return Mean.of([row["miou"] for row in rows if row["outcome"] == FINISHED])


def _numbers(mean: Mean | None) -> tuple[Any, Any]:
    if mean is None:
        return "", ""
    return mean.mean, "" if mean.error is None else mean.error
