"""Pictures of an evaluation, as PNG bytes that are the same for the same numbers.

Figures are drawn on their own canvas: no global state of pyplot, no display.
Colours are Okabe and Ito's, told apart by every kind of sight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from training.bootstrap import stationary_bootstrap_means
from training.coverage import HALF
from training.evaluation import MNAT, block_length
from training.folds import Folds
from training.importance import Importance, Moved
from training.report import CellEvaluation
from training.slices import KINDS, skill_by

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY, INK = "#0072B2", "#D55E00", "#8A8A8A", "#222222"
STACK = ("#BDBDBD", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
DPI = 110
CLIMATOLOGY = "climatology"
LEAST_WIDTH = 1e-4
MOST_FEATURES, MOST_BY_GAIN = 12, 5
LEAST_SPAN = 0.02
"""Probability shown on either side of the forecasts, so that a flat forecast has room."""


def reliability_plot(evaluation: CellEvaluation) -> bytes:
    """Draw forecasts against frequencies, with the band of calibrated ones and their counts.

    The band holds the frequency of a bin nine times in ten if the forecasts
    are calibrated; the lower panel shows how often each forecast was made.
    """
    bins = evaluation.reliability
    figure = _figure((6.4, 7.0))
    grid = figure.add_gridspec(2, 1, height_ratios=(4, 1))
    axes = figure.add_subplot(grid[0])
    below = figure.add_subplot(grid[1], sharex=axes)
    base = evaluation.metrics["base_rate"]
    low = max(0.0, min(float(bins.forecast.min()), base) - LEAST_SPAN)
    high = min(1.0, max(float(bins.forecast.max()), base) + LEAST_SPAN)
    axes.plot([low, high], [low, high], color=INK, lw=1, ls="--", label="calibrated")
    axes.fill_between(
        bins.forecast, bins.lower, bins.upper, color=BLUE, alpha=0.15, lw=0, label="90 % band"
    )
    axes.plot(bins.forecast, bins.observed, "o-", color=BLUE, ms=5, lw=1.2, label="observed")
    axes.axhline(base, color=ORANGE, lw=1.2, ls=":", label=f"base rate {base:.3f}")
    axes.set_ylabel("observed frequency")
    axes.tick_params(labelbottom=False)
    axes.legend(loc="upper left", edgecolor="none", framealpha=0.7)
    error = evaluation.metrics["expected_calibration_error"]
    _title(axes, f"{_question(evaluation)}: reliability", f"calibration error {error:.3f}")
    # Bins hold equal counts, so their density tells where forecasts crowd, as a histogram's height.
    middle = (bins.forecast[1:] + bins.forecast[:-1]) / 2
    edges = np.concatenate([bins.forecast[:1], middle, bins.forecast[-1:]])
    width = np.maximum(np.diff(edges), LEAST_WIDTH)
    below.bar(edges[:-1], bins.count / width / 100, width, align="edge", color=BLUE, alpha=0.8)
    below.axvline(base, color=ORANGE, lw=1.2, ls=":")
    below.set_xlim(low, high)
    below.set_ylabel("days per 0.01")
    below.set_xlabel("forecast probability")
    return _png(figure)


def gain_plot(evaluation: CellEvaluation, *, seed: int = 0) -> bytes:
    """Draw the cumulative gain over climatology, and where it would stray without skill.

    The band holds the path of a forecaster without skill nine times in ten at
    each day: zero, give or take 1.645 standard deviations of the sum to that
    day, from a stationary bootstrap of the gains less their mean. Units are
    mnat times days.
    """
    gain = evaluation.gain * MNAT
    n = len(gain)
    means = stationary_bootstrap_means(
        gain - gain.mean(),
        block_length=block_length(n, evaluation.cell.horizon_days),
        resamples=1000,
        seed=seed,
    )
    # The variance of a sum grows with its length; at the end it is that of the bootstrap.
    reach = 1.645 * float(means.std()) * n * np.sqrt(np.arange(1, n + 1) / n)
    figure = _figure((8.4, 4.6))
    axes = figure.add_subplot()
    days = evaluation.days.astype("datetime64[D]")
    axes.fill_between(
        days, -reach, reach, color=GREY, alpha=0.2, lw=0, label="no skill, 9 times in 10"
    )
    axes.axhline(0, color=INK, lw=1)
    axes.plot(days, np.cumsum(gain), color=BLUE, lw=1.6, label="riskon")
    axes.set_ylabel("cumulative gain, mnat x days")
    _dates(axes)
    axes.legend(loc="upper left", frameon=False)
    m = evaluation.metrics
    _title(
        axes,
        f"{_question(evaluation)}: gain over climatology",
        f"mean {m['gain_mnat']:+.2f} mnat a day "
        f"[{m['gain_mnat_lower']:+.2f}, {m['gain_mnat_upper']:+.2f}]",
    )
    return _png(figure)


def weights_plot(evaluation: CellEvaluation) -> bytes:
    """Draw the weight of each expert in the mixture over time, stacked to one."""
    figure = _figure((8.4, 4.2))
    axes = figure.add_subplot()
    # Climatology lies at the bottom, in grey: what stands on it is belief in an expert.
    names = sorted(evaluation.weights, key=lambda name: (name != CLIMATOLOGY, name))
    colours = [STACK[i % len(STACK)] for i in range(len(names))]
    if CLIMATOLOGY not in names:
        colours = [STACK[1 + i % (len(STACK) - 1)] for i in range(len(names))]
    axes.stackplot(
        evaluation.days.astype("datetime64[D]"),
        [evaluation.weights[name] for name in names],
        labels=names,
        colors=colours,
        lw=0,
    )
    axes.set_ylim(0, 1)
    axes.margins(x=0)
    axes.set_ylabel("weight in the mixture")
    _dates(axes)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=4, frameon=False)
    _title(axes, f"{_question(evaluation)}: whom the mixture believes", "")
    return _png(figure)


def coverage_plot(evaluation: CellEvaluation) -> bytes:
    """Draw the gain on the days kept, were the least confident left out, with its interval."""
    curve = evaluation.coverage
    figure = _figure((6.8, 4.6))
    axes = figure.add_subplot()
    axes.fill_between(
        curve.share, curve.lower, curve.upper, color=BLUE, alpha=0.15, lw=0, label="90 % interval"
    )
    axes.axhline(0, color=INK, lw=1)
    axes.plot(curve.share, curve.gain_mnat, "o-", color=BLUE, ms=5, lw=1.2, label="riskon")
    axes.set_xlim(0, 1.02)
    axes.set_xlabel("share of days kept, the most confident first")
    axes.set_ylabel("gain on days kept, mnat a day")
    axes.legend(loc="upper right", frameon=False)
    gain, lower, upper = curve.at(HALF)
    note = f"surest half {gain:+.2f} [{lower:+.2f}, {upper:+.2f}]"
    _title(axes, f"{_question(evaluation)}: what abstaining gains", note)
    return _png(figure)


def bets_plot(evaluation: CellEvaluation) -> bytes:
    """Draw what the betting rule earned after costs, summed and not compounded, beside holding."""
    figure = _figure((8.4, 4.6))
    axes = figure.add_subplot()
    m, h = evaluation.metrics, evaluation.cell.horizon_days
    days = evaluation.days.astype("datetime64[D]")
    bets = np.zeros((len(days), 2)) if evaluation.bets is None else evaluation.bets
    # One h-th of the capital stands behind each bet.
    total = np.cumsum(bets, axis=0) / h
    axes.axhline(0, color=INK, lw=1)
    axes.plot(days, 100 * total[:, 1], color=GREY, lw=1.4, label="buy and hold")
    axes.plot(days, 100 * total[:, 0], color=BLUE, lw=1.6, label="long above one half, else cash")
    axes.set_ylabel("sum of returns, % of capital")
    _dates(axes)
    axes.legend(loc="upper left", frameon=False)
    note = "no bets at this threshold"
    if "bet_sharpe_ratio" in m:
        note = (
            f"Sharpe {m['bet_sharpe_ratio']:.2f} "
            f"[{m['bet_sharpe_ratio_lower']:.2f}, {m['bet_sharpe_ratio_upper']:.2f}], "
            f"holding {m['hold_sharpe_ratio']:.2f}"
        )
    _title(axes, f"{_question(evaluation)}: after costs", note)
    return _png(figure)


def skill_plot(evaluations: Sequence[CellEvaluation]) -> bytes:
    """Draw the gain over climatology by asset, horizon, year and regime, with its intervals."""
    parts = [part for kind in KINDS for part in skill_by(evaluations, kind)]
    figure = _figure((7.6, 1.4 + 0.26 * max(len(parts), 8)))
    axes = figure.add_subplot()
    for place, part in enumerate(reversed(parts)):
        clear = part.lower > 0 or part.upper < 0
        colour = (BLUE if part.lower > 0 else ORANGE) if clear else GREY
        axes.plot([part.lower, part.upper], [place, place], color=colour, lw=1.6)
        axes.plot(part.gain_mnat, place, "o", color=colour, ms=5)
    axes.axvline(0, color=INK, lw=1)
    axes.set_yticks(range(len(parts)), [f"{p.kind} {p.name}" for p in reversed(parts)])
    axes.set_xlabel("gain over climatology, mnat a day, 90 % interval")
    _title(axes, "Where the gain comes from", "")
    return _png(figure)


def importance_plot(importance: Importance) -> bytes:
    """Draw how far blocks and features moved the log-odds, out of sample, with their intervals.

    Beside the features stands their share in the gain of LightGBM's splits: what the trees
    were fitted with, whether or not the mixture believed them.
    """
    blocks, features = importance.blocks, _worth_showing(importance)
    figure = _figure((11.0, 1.6 + 0.27 * max(len(blocks), len(features), 6)))
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1.2, 0.5))
    for axes, found in ((left, blocks), (middle, features)):
        for place, one in enumerate(found):
            colour = GREY if one.name.startswith("(") else BLUE
            axes.barh(place, one.mean, 0.68, color=colour, alpha=0.85, lw=0)
            axes.plot([one.lower, one.upper], [place, place], color=INK, lw=1.2)
        axes.set_yticks(range(len(found)), [one.name for one in found], fontsize=8)
        axes.set_xlabel("mean |move| of the log-odds, 90 % interval", fontsize=9)
        axes.locator_params(axis="x", nbins=4)
    shares = [0.0 if one.gain_share is None else 100 * one.gain_share for one in features]
    right.barh(range(len(features)), shares, 0.68, color=ORANGE, alpha=0.85, lw=0)
    right.set_yticks(range(len(features)), [""] * len(features))
    right.set_xlabel("% of LightGBM's gain", fontsize=9)
    for axes, rows in ((left, blocks), (middle, features), (right, features)):
        axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)
    _title(left, f"{_question(importance)}: what moved the forecasts", "")
    left.set_title(left.get_title(loc="left"), loc="left", fontsize=11, fontweight="bold")
    count = sum(not one.name.startswith("(") for one in importance.features)
    _title(middle, "", f"{importance.days} days, {len(features)} of {count} features")
    return _png(figure)


def _worth_showing(importance: Importance) -> tuple[Moved, ...]:
    """Return the features that moved most, and those that LightGBM gained most with."""
    named = [one for one in importance.features if not one.name.startswith("(")]
    by_gain = sorted(named, key=lambda one: -(one.gain_share or 0.0))[:MOST_BY_GAIN]
    kept = [one for one in named[:MOST_FEATURES] if one not in by_gain]
    kept += [one for one in by_gain if one.gain_share]
    return tuple(sorted(kept, key=lambda one: -one.mean))


PLOTS: Mapping[str, Callable[[CellEvaluation], bytes]] = {
    "bets": bets_plot,
    "coverage": coverage_plot,
    "gain": gain_plot,
    "reliability": reliability_plot,
    "weights": weights_plot,
}


def plots_of(evaluation: CellEvaluation) -> dict[str, bytes]:
    """Return every plot of a cell by the name of its file, ``CELL/gain.png`` and so on."""
    return {f"{evaluation.cell}/{name}.png": draw(evaluation) for name, draw in PLOTS.items()}


def folds_plot(days: np.ndarray, folds: Folds) -> bytes:
    """Draw which days each fold learns from, is scored on, and leaves out; a row a fold.

    Parameters
    ----------
    days : (n,) datetime64[D], all as-of days.
    """
    rows = [("inner", span) for span in folds.inner] + [("outer", span) for span in folds.outer]
    figure = _figure((8.4, 1.6 + 0.32 * len(rows)))
    axes = figure.add_subplot()
    height = 0.7
    for at, (kind, span) in enumerate(rows):
        colour = BLUE if kind == "inner" else ORANGE
        for begin, end, shade in (
            (days[0], span.begin, "#D9D9D9"),
            (span.begin, span.end, colour),
        ):
            axes.barh(at, end - begin, height, left=begin, color=shade, lw=0)
    begin, end = folds.inner[-1].end, folds.outer[0].begin
    axes.barh(range(len(rows)), end - begin, 1.0, left=begin, color=GREY, lw=0)
    axes.set_yticks(range(len(rows)), [f"{kind} {span.begin}" for kind, span in rows])
    axes.invert_yaxis()
    for colour, label in (
        ("#D9D9D9", "labels known by then"),
        (BLUE, "scores trials"),
        (ORANGE, "unseen by the search"),
        (GREY, f"embargo, {folds.embargo_days} days"),
    ):
        axes.bar(days[:1], [0], color=colour, label=label)
    _dates(axes)
    axes.set_xlim(days[0], days[-1])
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4, frameon=False)
    _title(axes, "Folds", f"the search knows nothing after {folds.seen}")
    return _png(figure)


def _question(asked: CellEvaluation | Importance) -> str:
    cell = asked.cell
    rise = f"above {cell.threshold:+.1%}" if cell.threshold else "up"
    return f"{cell.asset} {rise} in {cell.horizon_days} d"


def _figure(size: tuple[float, float]) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=size, dpi=DPI, layout="constrained")


def _title(axes: Axes, text: str, note: str) -> None:
    axes.set_title(text, loc="left", fontsize=12, fontweight="bold", color=INK)
    axes.set_title(note, loc="right", fontsize=9, color="#555555")


def _dates(axes: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
    )
    axes.margins(x=0)


def _png(figure: Figure, *, grid: bool = True) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        if grid:
            axes.grid(visible=True, color="#E6E6E6", lw=0.7)
        axes.set_axisbelow(True)
    held = BytesIO()
    # The version of the library in the file's metadata would change its bytes.
    FigureCanvasAgg(figure)
    figure.savefig(held, format="png", dpi=DPI, metadata={"Software": None})
    return held.getvalue()
