"""The page of the small-cap signals beside an asset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from serving.dashboard import words
from serving.dashboard.charts import Axis, nice_axis
from serving.dashboard.lines import Line, day_ticks, log_axis, panel, thinned
from serving.dashboard.signals import Signals

RANGES = {
    "6m": ("6 months", 182),
    "1y": ("1 year", 365),
    "3y": ("3 years", 1096),
    "all": ("All", None),
}
"""Range of days by its name in the address."""

DEFAULT_RANGE = "1y"
LATEST_ROWS = 10


@dataclass(frozen=True)
class Panel:
    """One picture of the stack.

    Attributes
    ----------
    name : of its series in the data for scripts.
    now : its latest value, in words.
    """

    name: str
    heading: str
    note: str
    now: str
    chart: Markup


@dataclass(frozen=True)
class SignalsPage:
    """What the page of the signals shows."""

    asset: str
    assets: tuple[str, ...]
    range: str
    ranges: tuple[tuple[str, str], ...]
    first: str
    last: str
    panels: tuple[Panel, ...]
    ticks: tuple[tuple[str, str], ...]
    table_head: tuple[str, ...]
    table: tuple[tuple[str, ...], ...]
    missing: tuple[str, ...]
    series: dict[str, object]


def signals_view(signals: Signals, asset: str, span: str) -> SignalsPage:
    """Return the view of the last days, from an asset's first bar on.

    Parameters
    ----------
    asset : one of ``signals.close``.
    span : a name of :data:`RANGES`.
    """
    began = int(np.flatnonzero(np.isfinite(signals.close[asset]))[0])
    length = RANGES[span][1]
    first = began if length is None else max(began, len(signals.days) - length)
    days = signals.days[first:]
    close = signals.close[asset][first:]
    values = {name: series[first:] for name, series in signals.values.items()}
    ticks = day_ticks(days)
    uprights = [at for at, _ in ticks]
    panels = [_price(asset, close, values, uprights)]
    panels += [
        made
        for made in (
            _nearness(values, uprights),
            _flow(values, uprights),
            _breadth(values, uprights),
            _new_highs(values, uprights),
        )
        if made is not None
    ]
    shown = {"close": close, **values}
    return SignalsPage(
        asset=asset,
        assets=tuple(signals.close),
        range=span,
        ranges=tuple((name, said) for name, (said, _) in RANGES.items()),
        first=words.long_day(days[0].astype(object)),
        last=words.long_day(days[-1].astype(object)),
        panels=tuple(panels),
        ticks=tuple((f"{at:.2f}%", said) for at, said in ticks),
        table_head=("Day", "Close", "All-time high", "Nearness", "Flow", "Breadth", "Highs - lows"),
        table=tuple(
            _table_row(days, close, values, at)
            for at in range(len(days) - 1, max(len(days) - 1 - LATEST_ROWS, -1), -1)
        ),
        missing=tuple(
            words.feature_label(name)
            for name in ("high_flag", "flow_20s", "breadth_above_200s")
            if name not in values
        ),
        series=_series(days, shown),
    )


def _price(
    asset: str, close: np.ndarray, values: dict[str, np.ndarray], uprights: Sequence[float]
) -> Panel:
    axis, labels = log_axis(close)
    highs = values.get("high_flag", np.zeros(len(close))) == 1
    note = "Close, logarithmic scale."
    if "high_flag" in values:
        note += (
            f" Ticks at the foot: {words.plural(int(highs.sum()), 'all-time high')} of small caps."
        )
    title = f"{asset}, daily close on a logarithmic scale, last {words.number(_last(close))}"
    chart = panel(
        title, [Line(close, "said")], height=190, axis=axis, labels=labels, marks=highs,
        logarithmic=True, uprights=uprights,
    )  # fmt: skip
    return Panel("close", asset, note, words.number(_last(close)), chart)


def _nearness(values: dict[str, np.ndarray], uprights: Sequence[float]) -> Panel | None:
    series = values.get("nearness_all_time")
    if series is None:
        return None
    now, axis = words.percent(_last(series)), _below_one(series)
    return Panel(
        "nearness_all_time", "Small caps, nearness to their all-time high",
        "Close of the small-cap index over its highest close so far; 100 % is a new high.", now,
        panel(f"Nearness of small caps to their all-time high, last {now}",
              [Line(series, "quiet")], height=96, axis=axis,
              labels=[words.percent(tick, 0) for tick in axis.ticks], level=1.0,
              uprights=uprights),
    )  # fmt: skip


def _flow(values: dict[str, np.ndarray], uprights: Sequence[float]) -> Panel | None:
    series = values.get("flow_20s")
    if series is None:
        return None
    now = words.signed(100 * _last(series), 1) + f"{words.THIN}%"
    axis = _symmetric(series)
    return Panel(
        "flow_20s", "Flow into the small-cap fund",
        "Twenty sessions' net flow over the fund's assets before them; above nought is inflow.",
        now,
        panel(f"Flow of 20 sessions over assets, last {now}", [Line(series, "area")], height=110,
              axis=axis, labels=[words.signed(100 * t, 0) + f"{words.THIN}%" for t in axis.ticks],
              uprights=uprights, level=0.0),
    )  # fmt: skip


def _breadth(values: dict[str, np.ndarray], uprights: Sequence[float]) -> Panel | None:
    series = values.get("breadth_above_200s")
    if series is None:
        return None
    now = words.percent(_last(series), 0)
    return Panel(
        "breadth_above_200s", "Breadth",
        "Share of the small caps above their mean of 200 sessions.", now,
        panel(f"Share of small caps above their mean of 200 sessions, last {now}",
              [Line(series, "quiet")], height=110, axis=Axis(-0.02, 1.1, (0.0, 0.5, 1.0)),
              labels=[words.percent(t, 0) for t in (0.0, 0.5, 1.0)], uprights=uprights),
    )  # fmt: skip


def _new_highs(values: dict[str, np.ndarray], uprights: Sequence[float]) -> Panel | None:
    series = values.get("breadth_high_minus_low")
    if series is None:
        return None
    now = words.points(_last(series))
    axis = _symmetric(series)
    return Panel(
        "breadth_high_minus_low", "New highs minus new lows",
        "Share of the small caps at a 252-session high, minus the share at a low.", now,
        panel(f"Share of small caps at a high minus at a low, last {now}", [Line(series, "area")],
              height=110, axis=axis,
              labels=[words.signed(100 * t, 0) + f"{words.THIN}%" for t in axis.ticks],
              uprights=uprights, level=0.0),
    )  # fmt: skip


def _below_one(series: np.ndarray) -> Axis:
    seen = series[np.isfinite(series)]
    return nice_axis([*map(float, (seen.min(), 1.0))] if len(seen) else [0.5, 1.0], 3, pad=0.12)


def _symmetric(series: np.ndarray) -> Axis:
    seen = series[np.isfinite(series)]
    low, high = (float(seen.min()), float(seen.max())) if len(seen) else (-0.1, 0.1)
    return nice_axis([min(low, 0.0), max(high, 0.0)], 3, pad=0.14)


def _last(series: np.ndarray) -> float:
    known = series[np.isfinite(series)]
    return float(known[-1]) if len(known) else float("nan")


def _table_row(
    days: np.ndarray, close: np.ndarray, values: dict[str, np.ndarray], at: int
) -> tuple[str, ...]:
    def share(name: str, digits: int) -> str:
        value = float(values[name][at]) if name in values else float("nan")
        return words.NOTHING if value != value else words.percent(value, digits)  # noqa: PLR0124 - NaN

    flag = float(values["high_flag"][at]) if "high_flag" in values else float("nan")
    return (
        words.short_day(days[at].astype(object)),
        words.number(float(close[at])),
        "yes" if flag == 1 else "no" if flag == 0 else words.NOTHING,
        share("nearness_all_time", 1),
        share("flow_20s", 2),
        share("breadth_above_200s", 0),
        share("breadth_high_minus_low", 1),
    )


def _series(days: np.ndarray, shown: dict[str, np.ndarray]) -> dict[str, object]:
    """Return what a script needs to say the value under the pointer: one list a series."""
    keep = thinned(len(days))
    said: dict[str, object] = {
        "day": [str(day) for day in days[keep]],
        "at": [round(float(100 * (k + 0.5) / len(days)), 3) for k in keep],
    }
    for name, series in shown.items():
        said[name] = [None if v != v else float(f"{v:.5g}") for v in series[keep]]  # noqa: PLR0124
    return said
