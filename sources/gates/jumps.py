"""Jumps: splits that nobody adjusted for, and tables that mix two adjustments.

A row is suspect where its value is further from the last accepted one than ``max(floor, k * MAD)``
in logs, the MAD being that of the 250 returns before it. The floor is what no genuine day of the
class has reached in thirty years, and less than the smallest common split, 4:3. A suspect row
is let off where its own range of the day, low to high, reaches back to the last close: it traded
all the way. A split never does; the coins' real leaps, in a market that never shuts, do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sources.gates.sieve import Sieve

FLOW_RETURN_LIMIT = np.log(1.3)
"""A fund's assets less its flow, over the assets of the day before, is its return: at most this."""

_WINDOW, _ENOUGH = 250, 20
_REACH = 0.02
_REBASED_ALONE = 0.05


@dataclass(frozen=True)
class Leap:
    """How far a class of assets may move in one bar: in logs, and in MADs."""

    floor: float
    mads: float


# Thirty years of funds and indices: at most 0.156 (QQQ, 2001-01-03).
EQUITY = Leap(float(np.log(1.3)), 12.0)
# Coins without a range of the day: at most 0.61 (XRP, 2017-12-14).
CRYPTO = Leap(float(np.log(2.0)), 20.0)


def jumps(
    sieve: Sieve, before: pd.DataFrame, *, is_crypto: bool, released: frozenset[np.datetime64]
) -> None:
    """Take out rows whose close or adjusted close leaps away from the last accepted one.

    Parameters
    ----------
    sieve : of prices.
    before : rows accepted earlier and dated before the first of these, one a date.
    is_crypto : which limits hold.
    released : days on which a leap is known to be real, by a second source or by hand.

    Notes
    -----
    Row ``t`` is judged by rows before it alone. The rows after a level shift stay
    out until the history is fetched again in one adjustment, or the day is released.
    """
    leap = CRYPTO if is_crypto else EQUITY
    for column in ("close", "adj_close"):
        bad, found = _leaps(sieve.kept, before, column, leap, released)
        needed = f"{column} within max({leap.floor:.3f}, {leap.mads:g} MAD) of the last, in logs"
        sieve.take(bad, "unadjusted jump", needed, found)


def fund_splits(sieve: Sieve, before: pd.DataFrame) -> None:
    """Take out flows that a split of the fund's own shares has made.

    Shares double and NAV halves: the flow reads as half the assets, while the
    assets stand still. Assets less flow, over the assets before, is the fund's return.
    """
    both = pd.concat([before, sieve.kept], ignore_index=True)
    aum = both["aum_usd"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (aum[1:] - both["flow_usd"].to_numpy()[1:]) / aum[:-1]
        day = np.log(ratio)
    apart = both["date"].to_numpy()[1:] > both["date"].to_numpy()[:-1]
    # A ratio at or below zero has no logarithm: more left the fund than it held.
    wild = apart & ((np.abs(day) > FLOW_RETURN_LIMIT) | (ratio <= 0))
    bad = np.append(False, wild)[len(before) :]
    found = [f"{value - 1:+.1%}" for value in np.append(np.nan, ratio)[len(before) :][bad]]
    needed = f"aum less flow within {FLOW_RETURN_LIMIT:.3f} of the last aum, in logs"
    sieve.take(bad, "split of the fund", needed, found)


def rebased(
    fetched: pd.DataFrame, stored: pd.DataFrame, columns: tuple[str, ...], least: float
) -> tuple[str, float] | None:
    """Return the column and factor by which two adjustments of one history differ, or None.

    Judged on the two oldest days that both have: a revision changes a day,
    a split or a dividend all days before it by one factor.

    Parameters
    ----------
    fetched, stored : one row a date, ascending.
    columns : those that a corporate action rescales.
    least : smallest ``|factor - 1|`` that two days must show to be no rounding and no other market;
        a single day must show 5 %.
    """
    if fetched.empty or stored.empty or fetched["date"].iloc[0] <= stored["date"].iloc[0]:
        return None  # the whole series was fetched: one adjustment throughout
    shared = fetched.merge(stored, on="date", suffixes=("", "_stored"))
    for column in columns:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (shared[column] / shared[f"{column}_stored"]).to_numpy()
        ratio = ratio[np.isfinite(ratio) & (ratio > 0)]
        if not len(ratio):
            continue
        factor, alike = float(ratio[0]), True
        if len(ratio) > 1:
            alike = abs(ratio[1] - factor) < 0.1 * abs(factor - 1)
        if alike and abs(factor - 1) > (least if len(ratio) > 1 else _REBASED_ALONE):
            return column, factor
    return None


def _leaps(
    table: pd.DataFrame,
    before: pd.DataFrame,
    column: str,
    leap: Leap,
    released: frozenset[np.datetime64],
) -> tuple[np.ndarray, list[str]]:
    both = pd.concat([before, table], ignore_index=True)
    rows = np.flatnonzero(both[column].notna())
    bad = np.zeros(len(both), dtype=bool)
    if len(rows) < 2:
        return bad[len(before) :], []
    logs = np.log(both[column].to_numpy()[rows])
    dates = both["date"].to_numpy()[rows]
    # The last row of the date before; vintages of one date all leap from there.
    last = np.searchsorted(dates, dates) - 1
    move = np.where(last >= 0, np.abs(logs - logs[last]), 0.0)
    mad = pd.Series(move).rolling(_WINDOW, min_periods=_ENOUGH).median().shift(1)
    # Until there are enough returns the floor alone decides.
    limit = np.maximum(leap.floor, leap.mads * mad.fillna(0.0).to_numpy())
    suspect = np.flatnonzero(move > limit)
    found: list[str] = []
    if not len(suspect):
        return bad[len(before) :], found
    low, high = (np.log(both[name].to_numpy()[rows]) for name in ("low", "high"))
    reach = np.log1p(_REACH)
    start = int(suspect[0])
    reference, accepted = last[start], start - 1
    for row in range(start, len(rows)):
        if dates[accepted] < dates[row]:
            reference = accepted
        jump = logs[row] - logs[reference]
        genuine = abs(jump) <= limit[row] or dates[row] in released or rows[row] < len(before)
        if not genuine and column == "close":
            genuine = bool(low[row] - reach <= logs[reference] <= high[row] + reach)
        elif not genuine:
            genuine = _explained(both, rows[row], rows[reference], jump)
        if genuine:
            accepted = row
            continue
        bad[rows[row]] = True
        since = np.datetime_as_string(dates[reference], unit="D")
        found.append(f"{column} x {np.exp(jump):.4g} since {since}")
    return bad[len(before) :], found


def _explained(both: pd.DataFrame, row: int, reference: int, jump: float) -> bool:
    """Tell whether the close, which has passed the gate, made the same move."""
    close = both["close"].to_numpy()
    with np.errstate(invalid="ignore"):
        move = np.log(close[row] / close[reference])
    return bool(abs(move - jump) <= np.log1p(_REACH))
