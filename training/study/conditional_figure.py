"""The picture of the company in which a high comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.study.canvas import BLUE, GREY, ORANGE, beside, blank, intervals, probability, tidy
from training.study.conditional import NOT_SHOWN, TOO_FEW

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from training.study.conditional import Conditional, Difference


def draw(result: Conditional, asset: str = "") -> Figure:
    """Draw the differences with intervals, a panel a horizon; grey where events are too few."""
    asset = asset or (result.differences[0].target if result.differences else "")
    mine = [one for one in result.differences if one.target == asset]
    few = sum(one.answer == TOO_FEW for one in mine)
    shown = [one for one in mine if one.answer not in {TOO_FEW, NOT_SHOWN}]
    finding = "none is shown" if not shown else f"{len(shown)} shown"
    made = blank(
        f"{asset} by condition: of {len(mine)} comparisons {few} have too few events, {finding}",
        "Log return of the first kind of days less the second's, with its 90 % interval. Grey: "
        "fewer than five episodes on a side, no answer whatever the bar looks like (it is too "
        "short).\nRight: episodes of the first and second kind; p corrected over all comparisons "
        "with enough events.",
        size=(12.4, 5.8),
    )
    horizons = sorted({one.horizon_days for one in mine})
    grid = made.add_gridspec(1, max(len(horizons), 1))
    first = None
    for place, horizon in enumerate(horizons):
        rows = [one for one in mine if one.horizon_days == horizon]
        axes = made.add_subplot(grid[place], sharey=first)
        first = first or axes
        middle, lower, upper = (
            np.array([getattr(one, name) for one in rows])
            for name in ("difference", "lower", "upper")
        )
        colours = [_colour(one) for one in rows]
        intervals(axes, [_words(one) for one in rows], middle, lower, upper, colours)
        ends = np.concatenate([lower, upper, [0.0]])
        ends = ends[np.isfinite(ends)]
        width = max(float(ends.max() - ends.min()), 0.1)
        axes.set_xlim(float(ends.min()) - 0.05 * width, float(ends.max()) + 0.45 * width)
        for row, one in enumerate(rows):
            p = "" if np.isnan(one.p_corrected) else f", {probability(one.p_corrected)}"
            words = f"{one.episodes_first} | {one.episodes_second}{p}"
            beside(axes, row, words, bold=one in shown)
        axes.tick_params(axis="y", labelsize=8.5, labelleft=place == 0)
        axes.set_xlabel("difference of log returns")
        tidy(axes, title=f"over {horizon} days")
    return made


def _colour(one: Difference) -> str:
    return GREY if one.answer == TOO_FEW else BLUE if one.answer == NOT_SHOWN else ORANGE


def _words(one: Difference) -> str:
    condition = one.condition
    return f"{condition.claim} {condition.first} less {condition.second}\n({condition.events})"
