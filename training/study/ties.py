"""Ties: does a driver move with small caps in the same week, as a common one must."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features import windows
from features.liquidity import BILLION_PER_TRILLION, MILLION_PER_TRILLION
from features.quotes import log_price
from sources.market import Market
from training.study.drivers import PRICED, SMALL_RETURNS
from training.study.sessions import latest

LEAST_WEEKS = 60
LIQUIDITY = ("WALCL", "WTREGEN", "RRPONTSYD")
WEDNESDAY = np.datetime64("2020-01-01", "D")
"""Any: weeks are counted from it."""
SERIES = {"VIX": "VIXCLS", "dollar": "DTWEXBGS", "rates": "DGS2"}


@dataclass(frozen=True)
class Tie:
    """The correlation of the changes of a driver and of small caps in the same week.

    Attributes
    ----------
    driver : block of the controls.
    correlation, lower, upper : with its 90 % interval (Fisher's z).
    p_value : two-sided.
    weeks : from Wednesday to Wednesday, on which H.4.1 is dated.
    """

    driver: str
    correlation: float
    lower: float
    upper: float
    p_value: float
    weeks: int


def ties(market: Market, drivers: Collection[str]) -> tuple[Tie, ...]:
    """Correlate weekly changes by the dates they are of: nothing is forecast here.

    Parameters
    ----------
    drivers : names of control blocks; one that the market has no series of is left out.

    References
    ----------
    Fisher (1921), On the probable error of a coefficient of correlation.
    """
    from scipy.stats import norm

    small = _priced(market, SMALL_RETURNS)
    if small is None:
        return ()
    found = []
    for name in drivers:
        level = _priced(market, name) if name in PRICED else _macro(market, name)
        if level is None:
            continue
        both = np.diff(_weekly([small, level]), axis=0)
        both = both[np.isfinite(both).all(axis=1)]
        n = len(both)
        if n < LEAST_WEEKS:
            continue
        correlation = float(np.corrcoef(both.T)[0, 1])
        z, error = float(np.arctanh(correlation)), 1 / np.sqrt(n - 3)
        found.append(
            Tie(
                driver=name,
                correlation=correlation,
                lower=float(np.tanh(z - 1.645 * error)),
                upper=float(np.tanh(z + 1.645 * error)),
                p_value=float(2 * norm.sf(abs(z) / error)),
                weeks=n,
            )
        )
    return tuple(found)


def _priced(market: Market, name: str) -> pd.Series | None:
    there = [symbol for symbol in PRICED[name] if symbol in market.prices]
    return log_price(latest(market.prices[there[0]])) if there else None


def _macro(market: Market, name: str) -> pd.Series | None:
    if name == "net liquidity":
        if any(series not in market.macro for series in LIQUIDITY):
            return None
        levels = [latest(market.macro[series])["value"] for series in LIQUIDITY]
        assets, treasury, repo = _weekly(levels).T
        net = (assets - treasury) / MILLION_PER_TRILLION - repo / BILLION_PER_TRILLION
        return windows.logarithm(pd.Series(net, pd.DatetimeIndex(_wednesdays(levels))))
    series = SERIES.get(name, "")
    if series not in market.macro:
        return None
    value = latest(market.macro[series])["value"]
    return value if name == "rates" else windows.logarithm(value)


def _wednesdays(levels: Sequence[pd.Series]) -> np.ndarray:
    """Return the Wednesdays on which all have begun and none has ended, datetime64[D]."""
    begin = max(level.index[0] for level in levels).to_datetime64().astype("datetime64[D]")
    end = min(level.index[-1] for level in levels).to_datetime64().astype("datetime64[D]")
    begin = begin + (WEDNESDAY - begin).astype("int64") % 7
    return np.arange(begin, end + np.timedelta64(1, "D"), np.timedelta64(7, "D"))


def _weekly(levels: Sequence[pd.Series]) -> np.ndarray:
    """Return (weeks, k) the last value of the week to each Wednesday; NaN where there is none."""
    asked = _wednesdays(levels)
    columns = []
    for level in levels:
        there = level[level.notna().to_numpy()]
        date = there.index.to_numpy("datetime64[D]")
        row = np.searchsorted(date, asked, side="right") - 1
        fresh = (row >= 0) & (asked - date[row] < np.timedelta64(7, "D"))
        columns.append(np.where(fresh, there.to_numpy("float64")[row], np.nan))
    return np.column_stack(columns)
