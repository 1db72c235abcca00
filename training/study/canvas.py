"""The canvas that the figures of the study share: no pyplot, no display, one set of colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, GREY, INK = "#0072B2", "#D55E00", "#009E73", "#8A8A8A", "#222222"
DPI = 110


def blank(title: str, note: str, *, size: tuple[float, float] = (9.6, 5.2)) -> Figure:
    """Return an empty figure whose title states the finding, with a smaller line below it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=size, dpi=DPI, layout="constrained")
    FigureCanvasAgg(made)
    made.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    made.supxlabel(note, x=0.01, ha="left", fontsize=8.5, color="#555555")
    return made


def tidy(axes: Axes, *, title: str = "") -> None:
    """Take away what distracts, and name the panel."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#E6E6E6", lw=0.7)
    axes.set_axisbelow(True)
    if title:
        axes.set_title(title, loc="left", fontsize=10.5, color=INK)


def beside(axes: Axes, row: float, words: str, *, bold: bool = False) -> None:
    """Write some words at the right end of a row, over whatever lies there."""
    axes.text(
        0.995,
        row,
        words,
        va="center",
        ha="right",
        fontsize=8.5,
        transform=axes.get_yaxis_transform(),
        color=INK if bold else "#666666",
        fontweight="bold" if bold else "normal",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
    )


def probability(p_value: float) -> str:
    """Say a p-value in as many digits as tell it.

    Examples
    --------
    >>> probability(0.4), probability(0.004)
    ('p 0.40', 'p 0.004')
    """
    return f"p {p_value:.3f}" if p_value < 0.01 else f"p {p_value:.2f}"


def by_date(axes: Axes) -> None:
    """Write dates on the lower axis, as few as tell them."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(maxticks=6)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.margins(x=0)


def intervals(
    axes: Axes,
    names: list[str],
    middle: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    colours: list[str],
) -> None:
    """Draw one value with its interval on each row, the first on top."""
    for row, (one, low, high, colour) in enumerate(zip(middle, lower, upper, colours, strict=True)):
        if np.isfinite(low) and np.isfinite(high):
            axes.plot([low, high], [row, row], color=colour, lw=2.2, solid_capstyle="butt")
        if np.isfinite(one):
            axes.plot([one], [row], "o", color=colour, ms=6)
    axes.axvline(0, color=INK, lw=1)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
