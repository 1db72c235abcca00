"""A figure for each claim, whose title says what was found, and two over all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from training.study.canvas import BLUE, GREEN, GREY, INK, ORANGE, blank, by_date, intervals, tidy
from training.study.claims import Claim
from training.study.daily import gap, session_returns
from training.study.event_study import SIDES
from training.study.outcomes import forward, largest_rise
from training.study.run import Study
from training.study.table import EventRow
from training.study.words import TARGETS, above, percent, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import Locator

PALE = "#9EC9E2"
LINES = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#8C6D31")
YEAR_SESSIONS = 252


def figure_of(study: Study, claim: Claim) -> Figure | None:
    """Draw what was found about a claim; None where there is nothing to draw."""
    makers: Mapping[str, Callable[[Study, Claim], Figure | None]] = {
        "event_return": _paths,
        "largest_rise": _rises,
        "rose_each_time": _bars,
        "split": _sides,
        "synchrony": _rolling,
        "divergence": _gap,
    }
    make = makers.get(claim.kind)
    return None if make is None else make(study, claim)


def overview(study: Study) -> Figure | None:
    """Draw each claim's effect and interval, as a share of what it asserts; None if none has."""
    shown = [j for j in study.judged if np.isfinite(j.primary.finding.effect)]
    if not shown:
        return None
    names, middle, lower, upper, colours = [], [], [], [], []
    tint = {"supported": GREEN, "refuted": ORANGE, "underpowered": BLUE, "unfalsifiable": GREY}
    for judged in shown:
        found, claim = judged.primary.finding, judged.claim
        zero = found.base if claim.kind == "rose_each_time" else 0.0
        unit = (claim.asserted - zero) * (claim.expected_sign or 1)
        ends = sorted([(found.lower - zero) / unit, (found.upper - zero) / unit])
        names.append(f"{claim.id}  {judged.verdict}")
        middle.append((found.effect - zero) / unit)
        lower.append(ends[0])
        upper.append(ends[1])
        colours.append(tint[judged.verdict])
    figure = blank(
        "What was found, as a share of what is claimed",
        "Point: the effect. Line: its 95 % interval. 0: nothing at all. 1: as large as claimed.",
        size=(9.6, 1.6 + 0.42 * len(names)),
    )
    axes = figure.subplots()
    intervals(axes, names, np.array(middle), np.array(lower), np.array(upper), colours)
    axes.axvline(1, color=INK, lw=1, ls="--")
    axes.set_xlim(-4, 4)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.text(0, -0.62, "nothing", ha="center", fontsize=9, color=INK)
    axes.text(1, -0.62, "as claimed", ha="center", fontsize=9, color=INK)
    tidy(axes)
    return figure


def timeline(study: Study) -> Figure | None:
    """Draw the index and Bitcoin over the years, with the events that the claims count."""
    claim = next((c for c in study.ledger.claims if c.kind == "event_return"), None)
    if claim is None or claim.indices[0] not in study.source.market.prices:
        return None
    index, target = claim.indices[0], claim.targets[0]
    level = study.source.level(target)
    if level is None:
        return None
    days = study.source.events(claim, index)
    table = study.source.market.prices[index]
    table = table[table["date"] >= study.source.outcomes.days[0]]
    price = table["close"].where(table["close"].notna(), table["adj_close"])
    figure = blank(
        f"The {len(days)} new highs of {index} that the claims speak of, and {_name(target)}",
        "Dashed: the first all-time closing high after 60 sessions without one. Both scales are "
        "logarithmic.",
        size=(9.6, 5.6),
    )
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot(table["date"], price, color=BLUE, lw=1)
    below.plot(study.source.outcomes.days, np.exp(level), color=ORANGE, lw=1)
    for axes, title in ((above, index), (below, f"{_name(target)}, USD")):
        axes.set_yscale("log")
        axes.minorticks_off()
        _plain_numbers(axes)
        tidy(axes, title=title)
        for day in days:
            axes.axvline(day, color=INK, lw=0.9, ls="--")
    for day in days:
        above.annotate(
            str(day)[:7], (day, 1.0), xycoords=("data", "axes fraction"), fontsize=8,
            xytext=(2, -9), textcoords="offset points", color=INK,
        )  # fmt: skip
    by_date(below)
    return figure


def _paths(study: Study, claim: Claim) -> Figure | None:
    paths = study.paths.get(claim.id)
    every = study.paths.get(f"{claim.targets[0]} all")
    if paths is None or not len(paths):
        return None
    index, target = claim.indices[0], claim.targets[0]
    rows = [row for row in study.events[claim.id] if row.index == index]
    after = [row.returns[claim.primary_days] for row in rows]
    over = [value for value in after if value is not None]
    figure = blank(
        f"{above(target)} {claim.primary_days} days on after "
        f"{sum(v > 0 for v in over)} of {len(over)} highs of {index}",
        "Each line is one high; day 0 is its close. Grey: the middle half of all days, and the "
        "median.",
    )
    axes = figure.subplots()
    x = np.arange(-20, 181)
    if every is not None:
        axes.fill_between(x, every[0], every[2], color=GREY, alpha=0.25, lw=0)
        axes.plot(x, every[1], color=GREY, lw=1.4)
    ends = []
    for place, (path, row) in enumerate(zip(paths, rows, strict=True)):
        colour = LINES[place % len(LINES)]
        axes.plot(x, path, color=colour, lw=1.7)
        known = np.flatnonzero(~np.isnan(path))
        if len(known):
            ends.append((float(path[known[-1]]), row.day, colour))
    axes.axvline(0, color=INK, lw=1)
    axes.axvline(claim.primary_days, color=INK, lw=0.8, ls=":")
    axes.axhline(0, color=INK, lw=0.8)
    _labels_at_right(axes, ends)
    axes.set_xlim(-20, 232)
    axes.set_xticks([-20, 0, 20, 60, 120, 180])
    axes.set_xlabel("days after the high")
    _percent(axes)
    tidy(axes)
    return figure


def _rises(study: Study, claim: Claim) -> Figure | None:
    target = claim.targets[0]
    level = study.source.level(target)
    rows = _over(study, claim, claim.indices[0], 365)
    if level is None or not rows:
        return None
    every = largest_rise(level, 365)
    every = every[~np.isnan(every)]
    bound = claim.threshold or 0.0
    reached = sum(np.log1p(row.largest_rise or 0.0) >= bound for row in rows)
    figure = blank(
        f"{reached} of {len(rows)} held retests came before a rise of {percent(np.expm1(bound))}, "
        f"and so did {percent(np.mean(every >= bound))} of all days",
        f"Largest rise of {_name(target)} within a year after the retest. Grey: after all days, "
        "from the 5th to the 95th percentile, the middle half darker.",
        size=(9.6, 1.8 + 0.5 * len(rows)),
    )
    axes = figure.subplots()
    marks = np.quantile(every, [0.05, 0.25, 0.5, 0.75, 0.95])
    place = len(rows)
    axes.barh([place], [marks[4] - marks[0]], left=[marks[0]], height=0.5, color=GREY, alpha=0.3)
    axes.barh([place], [marks[3] - marks[1]], left=[marks[1]], height=0.5, color=GREY, alpha=0.6)
    axes.plot([marks[2]], [place], "|", color=INK, ms=14, mew=2)
    values = [float(np.log1p(row.largest_rise or 0.0)) for row in rows]
    axes.barh(range(len(rows)), values, height=0.5, color=BLUE)
    for at, value in enumerate(values):
        axes.text(value + 0.03, at, signed(np.expm1(value)), va="center", fontsize=9, color=INK)
    axes.axvline(bound, color=ORANGE, lw=1.6, ls="--")
    axes.text(
        bound, -0.75, f"claimed {signed(np.expm1(bound))}", ha="center", fontsize=9, color=INK
    )
    axes.set_yticks([*range(len(rows)), place], [*(row.day for row in rows), "all days"])
    axes.set_ylim(place + 0.6, -1.1)
    _percent(axes, horizontal=True)
    tidy(axes)
    return figure


def _bars(study: Study, claim: Claim) -> Figure | None:
    rows = _over(study, claim, claim.indices[0], claim.primary_days)
    if not rows:
        return None
    values = [row.returns[claim.primary_days] or 0.0 for row in rows]
    figure = blank(
        f"\u201cEach time\u201d: {above(claim.targets[0])} after "
        f"{sum(v > 0 for v in values)} of {len(values)} highs of {claim.indices[0]}",
        f"Return over the {claim.primary_days} days after each first high in 60 sessions.",
        size=(9.6, 1.6 + 0.5 * len(rows)),
    )
    axes = figure.subplots()
    logs = np.log1p(values)
    axes.barh(range(len(rows)), logs, height=0.55, color=[GREEN if v > 0 else ORANGE for v in logs])
    span = max(float(np.abs(logs).max()), 0.1)
    for at, value in enumerate(logs):
        side = "left" if value >= 0 else "right"
        shift = 0.02 * span * (1 if value >= 0 else -1)
        axes.text(value + shift, at, signed(np.expm1(value)), va="center", ha=side, fontsize=10,
                  color=INK)  # fmt: skip
    axes.axvline(0, color=INK, lw=1)
    axes.set_yticks(range(len(rows)), [row.day for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.margins(x=0.15)
    _percent(axes, horizontal=True)
    tidy(axes)
    return figure


def _sides(study: Study, claim: Claim) -> Figure | None:
    state = study.source.states.get(claim.split)
    level = study.source.level(claim.targets[0])
    if state is None or level is None:
        return None
    ahead = forward(level, claim.primary_days)
    words = SIDES.get(claim.split, (f"{claim.split} above", "at or below"))
    chosen = [claim.indices[0]]
    if "IWN" in claim.indices and chosen[0] != "IWN":
        chosen.append("IWN")
    counts = [sum((r.states.get(claim.split, np.nan) > claim.split_at) == up
                  for r in _over(study, claim, claim.indices[0], claim.primary_days))
              for up in (True, False)]  # fmt: skip
    figure = blank(
        f"{counts[0]} highs of {claim.indices[0]} with {words[0]}, {counts[1]} with {words[1]}",
        f"{_name(claim.targets[0])} over {claim.primary_days} days after each high; grey: the "
        "middle half of all days on that side, and their median.",
        size=(9.6, 4.6),
    )
    panels = np.atleast_1d(figure.subplots(1, len(chosen), sharey=True))
    for axes, index in zip(panels, chosen, strict=True):
        rows = _over(study, claim, index, claim.primary_days)
        for at, up in enumerate((True, False)):
            among = ahead[((state > claim.split_at) == up) & ~np.isnan(state) & ~np.isnan(ahead)]
            if len(among):
                low, mid, high = np.quantile(among, [0.25, 0.5, 0.75])
                axes.fill_between([at - 0.3, at + 0.3], low, high, color=GREY, alpha=0.25, lw=0)
                axes.plot([at - 0.3, at + 0.3], [mid, mid], color=GREY, lw=1.6)
            mine = [r for r in rows if (r.states.get(claim.split, np.nan) > claim.split_at) == up
                    and claim.split in r.states]  # fmt: skip
            points = [(float(np.log1p(r.returns[claim.primary_days] or 0.0)), r.day, BLUE)
                      for r in mine]  # fmt: skip
            axes.plot([at] * len(points), [p[0] for p in points], "o", color=BLUE, ms=7)
            _spread_text(axes, points, at + 0.05)
        axes.axhline(0, color=INK, lw=0.8)
        axes.set_xlim(-0.5, 1.6)
        axes.set_xticks([0, 1], [w.replace(" ", "\n", 1) for w in words])
        _percent(axes)
        tidy(axes, title=f"highs of {index}")
    return figure


def _rolling(study: Study, claim: Claim) -> Figure | None:
    source = study.source
    pair = session_returns(source.market, source.outcomes, claim.indices[0], claim.targets[0], 1)
    if pair is None or len(pair[0]) < YEAR_SESSIONS:
        return None
    x, y, days = pair
    rolling = pd.Series(x).rolling(YEAR_SESSIONS).corr(pd.Series(y)).to_numpy()
    share = float(np.nanmean(rolling >= claim.asserted))
    overall = float(np.corrcoef(x, y)[0, 1])
    figure = blank(
        f"Correlation of {overall:.2f} over all years; {claim.asserted:g} or more over "
        f"{percent(share)} of the years that end on each day",
        f"Correlation of the same session's returns of {claim.indices[0]} and "
        f"{_name(claim.targets[0])} over the last 252 sessions.",
    )
    axes = figure.subplots()
    axes.plot(days, rolling, color=BLUE, lw=1.5)
    axes.axhline(claim.asserted, color=ORANGE, lw=1.4, ls="--")
    axes.axhline(0, color=INK, lw=0.8)
    axes.text(days[YEAR_SESSIONS], claim.asserted + 0.02, "\u201chighly synchronised\u201d",
              fontsize=9, color=INK)  # fmt: skip
    axes.set_ylim(-0.3, 0.9)
    tidy(axes)
    by_date(axes)
    return figure


def _gap(study: Study, claim: Claim) -> Figure | None:
    source = study.source
    apart = gap(source.market, source.outcomes, claim.indices[0], claim.targets[0])
    level = source.level(claim.targets[0])
    if apart is None or level is None:
        return None
    ahead, bound = forward(level, claim.primary_days), claim.threshold or 0.0
    known = ~np.isnan(apart) & ~np.isnan(ahead)
    sides = {
        f"{claim.indices[0]} far ahead": known & (apart > bound),
        "in between": known & (np.abs(apart) <= bound),
        f"{claim.indices[0]} far behind": known & (apart < -bound),
    }
    means = [float(ahead[flag].mean()) if flag.any() else np.nan for flag in sides.values()]
    wide = [1.96 * float(ahead[flag].std()) / np.sqrt(max(flag.sum() / claim.primary_days, 1))
            if flag.any() else np.nan for flag in sides.values()]  # fmt: skip
    first = "more" if means[0] > means[2] else "less"
    figure = blank(
        f"{_name(claim.targets[0])} rose {first} after small caps had run ahead of it than after "
        "they had fallen behind",
        f"Mean log return over the next {claim.primary_days} days, with its 95 % interval.",
        size=(9.6, 3.2),
    )
    axes = figure.subplots()
    middle = np.array(means)
    intervals(axes, [f"{name}\n{int(flag.sum())} days" for name, flag in sides.items()], middle,
              middle - np.array(wide), middle + np.array(wide), [BLUE, GREY, ORANGE])  # fmt: skip
    _percent(axes, horizontal=True)
    tidy(axes)
    return figure


def _over(study: Study, claim: Claim, index: str, days: int) -> list[EventRow]:
    """Return the events of an index that have an outcome over some days."""
    rows = [row for row in study.events[claim.id] if row.index == index]
    if days == 365:
        return [row for row in rows if row.largest_rise is not None]
    return [row for row in rows if row.returns.get(days) is not None]


def _name(target: str) -> str:
    return TARGETS.get(target, target)


def _labels_at_right(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write each line's date and return at its end, without one over the other."""
    low, high = axes.get_ylim()
    least, last = (high - low) * 0.055, -np.inf
    for value, day, colour in sorted(ends):
        at = max(value, last + least)
        axes.text(183, at, f"{day}  {signed(np.expm1(value))}", color=colour, fontsize=8.5,
                  va="center")  # fmt: skip
        last = at


def _spread_text(axes: Axes, points: Sequence[tuple[float, str, str]], x: float) -> None:
    last = -np.inf
    for value, day, _ in sorted(points):
        at = max(value, last + 0.075)
        axes.text(x, at, f"{day} {signed(np.expm1(value))}", fontsize=7.5, va="center", color=INK)
        last = at


def _percent(axes: Axes, *, horizontal: bool = False) -> None:
    """Label a log scale by the simple returns it stands for."""
    axis = axes.xaxis if horizontal else axes.yaxis
    low, high = axes.get_xlim() if horizontal else axes.get_ylim()
    marks = [-0.9, -0.75, -0.5, -0.25, 0, 0.5, 1, 2, 4, 9, 19, 49]
    if high - low < 0.6:
        marks = [-0.4, -0.3, -0.2, -0.1, -0.05, 0, 0.05, 0.1, 0.2, 0.3, 0.4]
    inside = [mark for mark in marks if low <= np.log1p(mark) <= high]
    axis.set_ticks(list(np.log1p(inside)), [signed(m) if m else "0" for m in inside])
    axis.set_minor_locator(_no_ticks())


def _plain_numbers(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator

    low, high = axes.get_ylim()
    steps = (1.0, 2.0, 5.0) if np.log10(high / low) < 2 else (1.0,)
    axes.yaxis.set_major_locator(LogLocator(subs=steps))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_minor_locator(_no_ticks())


def _no_ticks() -> Locator:
    from matplotlib.ticker import NullLocator

    return NullLocator()
