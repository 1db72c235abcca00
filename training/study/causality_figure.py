"""The picture of who foretells whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.study.canvas import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    beside,
    blank,
    intervals,
    probability,
    tidy,
)
from training.study.verdict import LEAST_RELEVANT, STRICT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from training.study.causality import Causality

TITLES = {
    "small caps lead": "Small caps foretell crypto, beside the common drivers too",
    "crypto leads": "Crypto foretells small caps, not the other way round",
    "common driver": "A common driver foretells crypto; small caps add nothing to it",
    "none": "Neither side foretells the other by more than a trace",
    "undetermined": "Who leads cannot be told from these days",
}


def draw(result: Causality) -> Figure:
    """Draw every test's share of variance with its interval, and both sides' projections."""
    n = max(one.n for one in result.evidence)
    made = blank(
        TITLES[result.verdict],
        f"Verdict: {result.verdict}; {result.reason}.\n"
        f"{' and '.join(result.assets)}, {result.first:%Y-%m-%d} to {result.last:%Y-%m-%d}, "
        f"{n} days. Bars: 90 % interval of the long-run share. Bold p: at most {STRICT} "
        f"corrected. Dashed: {LEAST_RELEVANT:.1%}, the least of use.",
        size=(12.4, 6.6),
    )
    grid = made.add_gridspec(2, 2, width_ratios=(1.35, 1))
    _shares(made.add_subplot(grid[:, 0]), result)
    for place, (name, title) in enumerate(
        (
            ("small caps to crypto", "Crypto after a small-cap day of +1 deviation"),
            ("crypto to small caps", "Small caps after a crypto day of +1 deviation"),
        )
    ):
        axes = made.add_subplot(grid[place, 1])
        _responses(axes, result, name)
        tidy(axes, title=title)
    return made


def _shares(axes: Axes, result: Causality) -> None:
    evidence = sorted(result.evidence, key=lambda one: (one.direction, one.block, one.controlled))
    order = ("small caps to crypto", "crypto to small caps", "drivers to crypto")
    evidence.sort(key=lambda one: order.index(one.direction))
    others = {"drivers to crypto": "beside small caps"}
    names = [
        f"{one.block}, {others.get(one.direction, 'beside drivers')}"
        if one.controlled
        else one.block
        for one in evidence
    ]
    colours = [
        {"small caps to crypto": BLUE, "crypto to small caps": ORANGE}.get(one.direction, GREY)
        for one in evidence
    ]
    share = np.array([one.partial_r2 for one in evidence]) * 100
    lower, upper = (
        np.array([getattr(one, end) for one in evidence]) * 100 for end in ("lower", "upper")
    )
    # The long-run share is less than the sample's, which fits noise by df / n.
    middle = np.maximum(share - 100 * np.array([one.df / one.n for one in evidence]), 0.0)
    intervals(axes, names, middle, lower, upper, colours)
    right = max(float(upper.max()), float(middle.max()), 100 * LEAST_RELEVANT) * 1.28
    for row, one in enumerate(evidence):
        strong = one.p_corrected <= STRICT
        beside(axes, row, probability(one.p_corrected), bold=strong)
    axes.axvline(100 * LEAST_RELEVANT, color=GREY, lw=1, ls="--")
    axes.set_xlim(-0.02 * right, right)
    axes.tick_params(axis="y", labelsize=8.5)
    axes.set_xlabel("share of the next day's variance foretold, %")
    tidy(axes, title="Small caps to crypto (blue), crypto to small caps (orange), drivers (grey)")


def _responses(axes: Axes, result: Causality, name: str) -> None:
    for one in result.responses:
        if one.name != name:
            continue
        colour, words = (ORANGE, "drivers held") if one.controlled else (BLUE, "own past held")
        steps = np.arange(len(one.steps))
        axes.fill_between(steps, one.lower, one.upper, color=colour, alpha=0.16, lw=0)
        axes.plot(steps, one.effect, "o-", color=colour, ms=4, lw=1.5, label=words)
        axes.set_xticks(steps, [str(step) for step in one.steps])
    axes.axhline(0, color=INK, lw=1)
    axes.set_ylabel("cumulated, %")
    axes.set_xlabel("days after" if name.endswith("crypto") else "sessions after")
    if axes.lines:
        axes.legend(loc="upper left", frameon=False, fontsize=8.5)
