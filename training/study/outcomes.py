"""What is held after an event: levels on the calendar, returns from a close on, and regimes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from features.labels import close_as_known, first_known_close
from sources.market import Market

BETA_DAYS = 180
TREND_DAYS = 90
VOLATILITY_DAYS = 30
LEAST_REGIME_DAYS = 60
"""Days that a regime needs of its own before events are compared with it alone."""
MAJORS = ("BTC", "ETH")
"""All other coins are the altcoins."""


@dataclass(frozen=True)
class Outcomes:
    """Log levels of what can be held, a row a calendar day.

    Attributes
    ----------
    days : (n,) consecutive calendar days, datetime64[us].
    coins : symbol -> (n,) log close as first known, NaN where there was no bar.
    """

    days: pd.DatetimeIndex
    coins: dict[str, np.ndarray]

    @cached_property
    def day(self) -> np.ndarray:
        """The days as datetime64[D]."""
        return self.days.to_numpy("datetime64[D]")

    def level(self, target: str) -> np.ndarray | None:
        """Return (n,) the log level of a target; None where the market lacks a coin of it.

        ``ALTS`` holds all coins but BTC and ETH in equal parts, set right every day. The beta
        of ``-betaBTC`` is that of the 180 days before each day.
        """
        name, _, less = target.partition("-")
        own = self._basket() if name == "ALTS" else self.coins.get(name)
        if own is None or not less:
            return own
        other = self.coins.get("BTC")
        if other is None:
            return None
        if less == "BTC":
            return own - other
        step, market = np.diff(own, prepend=np.nan), np.diff(other, prepend=np.nan)
        pair = pd.DataFrame({"own": step, "market": market})
        together = pair["own"].rolling(BETA_DAYS).cov(pair["market"])
        beta = (together / pair["market"].rolling(BETA_DAYS).var()).shift(1).to_numpy()
        return _accumulate(step - beta * market)

    def _basket(self) -> np.ndarray | None:
        others = [level for symbol, level in self.coins.items() if symbol not in MAJORS]
        if not others:
            return None
        steps = np.expm1(np.diff(np.stack(others), axis=1, prepend=np.nan))
        there = ~np.isnan(steps)
        held = there.sum(axis=0)
        total = np.where(there, steps, 0.0).sum(axis=0)
        mean = np.where(held > 0, total / np.maximum(held, 1), np.nan)
        return _accumulate(np.log1p(mean))

    def regime(self, target: str) -> np.ndarray:
        """Return (n,) int: 0 to 3 by trend and volatility, known at T(d); -1 before they are.

        The trend is the sign of the last 90 days' return, volatility that of 30 days against
        the median of its own past. A target less Bitcoin is judged by Bitcoin's.
        """
        name = "BTC" if "-" in target or target == "ALTS" else target
        level = self.coins.get(name)
        if level is None:
            return np.full(len(self.days), -1)
        series = pd.Series(level).ffill()
        trend = series.diff(TREND_DAYS)
        deviation = series.diff().rolling(VOLATILITY_DAYS).std()
        usual = deviation.expanding(min_periods=LEAST_REGIME_DAYS).median()
        known = (trend.notna() & usual.notna()).to_numpy()
        both = 2 * (trend > 0).to_numpy().astype("int64") + (deviation > usual).to_numpy()
        return np.where(known, both, -1)


def read_outcomes(market: Market) -> Outcomes:
    """Return the closes of all coins as they were first known, on all days since the first bar."""
    tables = {symbol: market.prices[symbol] for symbol in market.crypto}
    tables = {symbol: table for symbol, table in tables.items() if len(table)}
    if not tables:
        return Outcomes(pd.DatetimeIndex([]).as_unit("us"), {})
    first = min(table["date"].min() for table in tables.values())
    last = max(table["date"].max() for table in tables.values())
    days = pd.date_range(first, last, freq="D", unit="us")
    day = days.to_numpy("datetime64[D]")
    coins = {}
    for symbol, table in tables.items():
        close = close_as_known(table, day, first_known_close(table, days))
        coins[symbol] = np.log(np.where(close > 0, close, np.nan))
    return Outcomes(days, coins)


def forward(level: np.ndarray, horizon_days: int) -> np.ndarray:
    """Return (n,) log return from the close of each day over the days after; NaN at the end."""
    ahead = np.full(len(level), np.nan)
    ahead[: max(len(level) - horizon_days, 0)] = level[horizon_days:] - level[:-horizon_days]
    return ahead


def largest_rise(level: np.ndarray, horizon_days: int) -> np.ndarray:
    """Return (n,) the largest log rise within the days after each close.

    NaN where the horizon is not over yet, or holds no close.

    Examples
    --------
    Within two days of a level of 0 the highest is 3, then 3 - 1:

    >>> largest_rise(np.array([0.0, 1.0, 3.0, 2.0]), 2).tolist()
    [3.0, 2.0, nan, nan]
    """
    n = len(level)
    found = np.full(n, np.nan)
    if n <= horizon_days:
        return found
    filled = np.where(np.isnan(level), -np.inf, level)
    windows = np.lib.stride_tricks.sliding_window_view(filled[1:], horizon_days)
    highest = windows.max(axis=1)
    highest = np.where(np.isneginf(highest), np.nan, highest)
    found[: n - horizon_days] = highest - level[: n - horizon_days]
    return found


def window(level: np.ndarray, rows: Sequence[int], before: int, after: int) -> np.ndarray:
    """Return (events, before + after + 1) log level about each event's close, NaN outside."""
    padded = np.concatenate([np.full(before, np.nan), level, np.full(after, np.nan)])
    found = [padded[row : row + before + after + 1] - level[row] for row in rows]
    return np.stack(found) if found else np.zeros((0, before + after + 1))


def _accumulate(steps: np.ndarray) -> np.ndarray:
    """Sum steps to a level from the first known one on; a later gap leaves no level behind it."""
    known = ~np.isnan(steps)
    level = np.where(known, np.cumsum(np.where(known, steps, 0.0)), np.nan)
    first = int(np.argmax(known)) if known.any() else len(steps)
    if first > 0 and first < len(steps):
        level[first - 1] = 0.0
    return level
