"""The picture of the real series among its copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.study.canvas import BLUE, GREY, ORANGE, blank, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from training.study.placebo import Placebo

ALPHA = 0.05


def draw(result: Placebo) -> Figure:
    """Draw the copies' statistics as histograms, and where the real series stands."""
    cells = list(dict.fromkeys((one.asset, one.horizon_days) for one in result.ranks))
    least = min((one.p_value for one in result.ranks), default=1.0)
    beats = least * max(len(cells), 1) <= ALPHA
    made = blank(
        f"The real {result.symbol} {'beats' if beats else 'does no better than'} copies that "
        "cannot know crypto",
        "Clark and West's statistic of what the series adds to liquidity and crypto's own "
        "momentum; right is better. Line: the real series; p: (1 + copies as good) / (1 + copies).",
        size=(12.4, 6.4),
    )
    assets = list(dict.fromkeys(asset for asset, _ in cells))
    horizons = sorted({horizon for _, horizon in cells})
    grid = made.add_gridspec(max(len(assets), 1), max(len(horizons), 1))
    for one_cell in cells:
        axes = made.add_subplot(grid[assets.index(one_cell[0]), horizons.index(one_cell[1])])
        mine = [r for r in result.ranks if (r.asset, r.horizon_days) == one_cell]
        for rank, colour in zip(mine, (GREY, BLUE), strict=False):
            axes.hist(
                rank.copies, bins=24, color=colour, alpha=0.55,
                label=f"{len(rank.copies)} {rank.kind}, p {rank.p_value:.2f}",
            )  # fmt: skip
        axes.axvline(mine[0].real, color=ORANGE, lw=2.4, label=f"real, {mine[0].real:+.2f}")
        axes.set_ylim(top=axes.get_ylim()[1] * 1.5)
        axes.legend(loc="upper left", frameon=False, fontsize=8)
        axes.set_ylabel("copies")
        tidy(axes, title=f"{one_cell[0]}, {one_cell[1]} d ahead")
    return made
