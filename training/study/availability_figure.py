"""The picture of the availability curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.study.canvas import BLUE, GREY, INK, ORANGE, blank, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from training.study.availability import Availability, Curve

COLUMNS = 5
TALLEST = 0.25
"""Correlation shown; crypto's own return of tomorrow is far beyond, and not the question."""


def draw(result: Availability, asset: str = "") -> Figure:
    """Draw each feature's curve, the side that looks ahead shaded."""
    asset = asset or result.curves[0].asset
    mine = [curve for curve in result.curves if curve.asset == asset]
    cliffs = [curve.feature for curve in mine if curve.cliff]
    finding = (
        f"a cliff at 0 says that the clock of {', '.join(cliffs[:3])} is wrong"
        if cliffs
        else f"none of {len(mine)} features has a cliff at 0: no clock error is seen"
    )
    rows = -(-len(mine) // COLUMNS)
    made = blank(
        f"{asset}: {finding}",
        "Correlation with the return from T(d) to T(d + 1), by the delay with which the feature is "
        "assumed known. Shaded: looks ahead, on purpose, and shows the same day's tie.\nA clock "
        "error would lift the point at 0 to what the shaded side shows. Blue: level, with its 90 % "
        "band; orange: the day's news.",
        size=(12.4, 2.1 * rows + 1.5),
    )
    grid = made.add_gridspec(rows, COLUMNS)
    first = None
    for place, curve in enumerate(mine):
        axes = made.add_subplot(grid[place // COLUMNS, place % COLUMNS], sharey=first)
        first = first or axes
        _curve(axes, curve, result.delays)
        axes.tick_params(labelleft=place % COLUMNS == 0)
        if place + COLUMNS >= len(mine):
            axes.set_xlabel("delay, days", fontsize=8.5)
    if first is not None:
        first.set_ylim(-TALLEST, TALLEST)
    return made


def _curve(axes: Axes, curve: Curve, delays: tuple[int, ...]) -> None:
    at = np.array(delays)
    axes.axvspan(at[0] - 0.3, -0.5, color=GREY, alpha=0.18, lw=0)
    axes.axhline(0, color=INK, lw=0.8)
    axes.fill_between(at, curve.lower, curve.upper, color=BLUE, alpha=0.2, lw=0)
    axes.plot(at, curve.skill, "o-", color=BLUE, ms=3, lw=1.3)
    axes.plot(at, curve.news, "o--", color=ORANGE, ms=2.5, lw=1)
    axes.set_xlim(at[0] - 0.3, at[-1] + 0.3)
    axes.set_xticks(at)
    axes.tick_params(labelsize=8)
    tidy(axes)
    axes.set_title(
        curve.feature + (": CLIFF" if curve.cliff else ""),
        loc="left",
        fontsize=8.5,
        color=ORANGE if curve.cliff else INK,
    )
