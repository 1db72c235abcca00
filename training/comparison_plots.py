"""Pictures of a comparison, as PNG bytes: gains with their intervals, and over time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from training.comparison import Comparison
from training.plots import BLUE, GREY, INK, ORANGE, _dates, _figure, _png, _title

COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999933", "#222222")
MOST_LINES = len(COLOURS)
EVEN, CLEAR = 0.1, 0.05


def standings_plot(comparison: Comparison, labels: Mapping[str, str]) -> bytes:
    """Draw each run's gain over climatology with its 90 % interval, the best at the top.

    Blue are those that cannot be told from the best at 10 % (model confidence set).
    """
    best_first = sorted(comparison.standings.items(), key=lambda item: item[1].log_loss)
    figure = _figure((8.4, 1.5 + 0.36 * max(3, len(best_first))))
    axes = figure.add_subplot()
    for place, (_, s) in enumerate(reversed(best_first)):
        colour = BLUE if s.best_p_value >= EVEN else GREY
        axes.plot([s.lower, s.upper], [place, place], color=colour, lw=2)
        axes.plot(s.gain_mnat, place, "o", color=colour, ms=6)
    axes.axvline(0, color=INK, lw=1)
    axes.set_yticks(range(len(best_first)), [labels[name] for name, _ in reversed(best_first)])
    axes.set_ylim(-0.7, len(best_first) - 0.3)
    axes.set_xlabel("gain over climatology, mnat a day, 90 % interval")
    _title(axes, "Gain on the same outcomes", "blue: not told from the best at 10 %")
    return _png(figure)


def gains_plot(comparison: Comparison, labels: Mapping[str, str]) -> bytes:
    """Draw the cumulative gain of the best runs over climatology."""
    best_first = sorted(comparison.standings.items(), key=lambda item: item[1].log_loss)
    figure = _figure((8.4, 4.6))
    axes = figure.add_subplot()
    axes.axhline(0, color=INK, lw=1)
    shown = best_first[:MOST_LINES]
    for colour, (name, _) in zip(COLOURS, shown, strict=False):
        total = np.cumsum(comparison.gains[name]) * 1000
        axes.plot(comparison.days, total, color=colour, lw=1.5, label=labels[name])
    axes.set_ylabel("cumulative gain, mnat x days")
    _dates(axes)
    axes.legend(loc="upper left", frameon=False)
    left = len(best_first) - len(shown)
    _title(axes, "Where the gains come from", f"the best {len(shown)} runs" if left else "")
    return _png(figure)


def pairs_plot(comparison: Comparison, labels: Mapping[str, str]) -> bytes:
    """Draw what the row's run gains on the column's, in standard errors, significant ones bold."""
    names = [n for n, _ in sorted(comparison.standings.items(), key=lambda i: i[1].log_loss)]
    count = len(names)
    table = np.zeros((count, count))
    figure = _figure((3.4 + 0.8 * count, 1.6 + 0.6 * count))
    axes = figure.add_subplot()
    for (a, b), test in comparison.pairs.items():
        i, j = names.index(a), names.index(b)
        table[j, i], table[i, j] = test.statistic, -test.statistic
    axes.imshow(table, cmap="RdBu", vmin=-4, vmax=4, aspect="auto")
    for (a, b), test in comparison.pairs.items():
        i, j = names.index(a), names.index(b)
        weight = "bold" if comparison.p_pairs[a, b] < CLEAR else "normal"
        for row, column, sign in ((j, i, 1), (i, j, -1)):
            strong = abs(test.statistic) > 2.5
            axes.text(
                column, row, f"{sign * test.mean * 1000:+.1f}", ha="center", va="center",
                fontweight=weight, color="white" if strong else INK, fontsize=9,
            )  # fmt: skip
    short = [labels[name].split()[0] for name in names]
    axes.set_xticks(range(count), short, rotation=45, ha="right")
    axes.set_yticks(range(count), [labels[name] for name in names])
    axes.set_xlabel("bold: significant at 5 % after Holm", fontsize=9)
    _title(axes, "Row's gain on column, mnat", "")
    return _png(figure, grid=False)
