"""The picture of what each block adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.study.canvas import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    beside,
    blank,
    intervals,
    probability,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from training.study.incremental import Incremental, Question

COLOURS = {"small caps": BLUE, "liquidity": ORANGE, "own momentum": GREEN}
ALPHA = 0.05


def draw(result: Incremental) -> Figure:
    """Draw what each block adds out of sample, a panel a horizon."""
    horizons = sorted({one.horizon_days for one in result.questions})
    made = blank(
        _title(result.questions),
        "Out-of-sample share of squared error saved, with its 90 % interval (overlap respected); "
        "left of 0 it costs. p: Clark and West, corrected over assets and horizons of a question."
        "\nShort bar in grey: least gain that the test would find four times in five; n: outcomes "
        "that do not overlap.",
        size=(12.4, 6.8),
    )
    grid = made.add_gridspec(1, max(len(horizons), 1))
    first = None
    for place, horizon in enumerate(horizons):
        mine = [one for one in result.questions if one.horizon_days == horizon]
        axes = made.add_subplot(grid[place], sharey=first)
        first = first or axes
        names = [f"{one.asset}: {_words(one)}" for one in mine]
        middle, lower, upper = (
            100 * np.array([getattr(one.increment, name) for one in mine])
            for name in ("r2", "lower", "upper")
        )
        intervals(axes, names, middle, lower, upper, [COLOURS.get(one.added, GREY) for one in mine])
        least = 100 * np.array([one.increment.least_detectable for one in mine])
        rows = np.arange(len(mine))
        axes.vlines(least, rows - 0.28, rows + 0.28, color=GREY, lw=1.6)
        left, right = min(float(lower.min()), 0.0), max(float(upper.max()), float(least.max()))
        axes.set_xlim(left - 0.05 * (right - left), right + 0.42 * (right - left))
        for row, one in enumerate(mine):
            found = one.p_corrected <= ALPHA
            beside(axes, row, probability(one.p_corrected), bold=found)
        axes.tick_params(axis="y", labelsize=8.5, labelleft=place == 0)
        axes.set_xlabel("% of squared error saved")
        independent = min(one.increment.effective_n for one in mine)
        tidy(axes, title=f"{horizon} d ahead, n at least {independent:.0f}")
    return made


def _title(questions: tuple[Question, ...]) -> str:
    full = [one for one in questions if len(one.given) == 2]
    found = [
        added
        for added in ("small caps", "liquidity")
        if any(one.p_corrected <= ALPHA for one in full if one.added == added)
    ]
    words = {
        (): "Neither small caps nor liquidity are seen to add to the other",
        ("small caps",): "Small caps add to liquidity, and not the other way round",
        ("liquidity",): "Liquidity adds to small caps, and not the other way round",
    }
    said = words.get(tuple(found), "Small caps and liquidity each add to the other")
    return f"{said} and crypto's own momentum"


def _words(one: Question) -> str:
    return f"{one.added} over {', '.join(one.given)}" if one.given else f"{one.added} over the mean"
