"""Traps: tables that know the future of crypto, and say so only once it is past.

Each changes a market after it was made, and adds nothing that could be known by T(d) of a day
whose return it tells of: the truth stays that of nothing to find. A pipeline that joins by
date, or takes the latest revision for what was known, will find skill where there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from sources.calendars import available_at_flows
from sources.market import Market
from sources.simulated.equities import FLOW_SCALE, FUND

Trap = Callable[[Market, np.ndarray, np.ndarray], Market]
"""Takes a market, its (n,) days and the crypto market's (n,) shocks; returns the market."""

SLIPPED_PRICES = ("IWM", "IJR")
SLIPPED_SERIES = "VIXCLS"
RESTATED = ("WALCL", "VIXCLS")
RESTATED_AFTER_DAYS = 28
"""From the first publication to the revision."""
_HINDSIGHT_DAYS = 20
_DAY = np.timedelta64(1, "D")
_PRICES = ("open", "high", "low", "close", "adj_close")


def _tomorrow(table: pd.DataFrame, days: np.ndarray, shocks: np.ndarray) -> np.ndarray:
    """Return the shock of the day after each row's date; 0 where that day is not there."""
    place = np.searchsorted(days, table["date"].to_numpy()) + 1
    return np.append(shocks, 0.0)[np.minimum(place, len(shocks))]


def late_flow(market: Market, days: np.ndarray, shocks: np.ndarray) -> Market:
    """Let each flow echo crypto's next day, and publish it a session later than usual.

    A flow of session s tells of day s + 1, whose bar closes at s + 2, 00:00 UTC; it is published
    at 13:00 UTC of the second session after s, at the earliest on s + 2.
    """
    table = market.flows[FUND].copy()
    echo = _tomorrow(table, days, shocks)
    table["flow_usd"] += 2 * FLOW_SCALE * echo * table["aum_usd"]
    next_session = pd.DatetimeIndex(table["available_at"]).tz_localize(None).normalize()
    table["available_at"] = available_at_flows(next_session)
    return replace(market, flows={**market.flows, FUND: table})


def restated_level(market: Market, days: np.ndarray, shocks: np.ndarray) -> Market:
    """Restate two series four weeks on, by what crypto did in the 20 days after each date.

    The value first published is honest; the revision comes after the last of those days.
    """
    macro = dict(market.macro)
    total = np.concatenate([[0.0], np.cumsum(shocks)])
    for name in RESTATED:
        table = macro[name]
        place = np.searchsorted(days, table["date"].to_numpy())
        whole = place + _HINDSIGHT_DAYS < len(days)
        revised = table[whole].copy()
        after = total[place[whole] + _HINDSIGHT_DAYS + 1] - total[place[whole] + 1]
        revised["value"] *= np.exp(0.05 * after / np.sqrt(_HINDSIGHT_DAYS))
        revised["available_at"] += pd.Timedelta(days=RESTATED_AFTER_DAYS)
        both = pd.concat([table, revised]).sort_values(["date", "available_at"])
        macro[name] = both.reset_index(drop=True)
    return replace(market, macro=macro)


def clock_slip(market: Market, days: np.ndarray, shocks: np.ndarray) -> Market:
    """Let files dated d move with crypto's day d + 1, which their ``available_at`` admits.

    They become available at d + 2, 06:00 UTC, six hours after the bar that they tell of.
    """
    prices, macro = dict(market.prices), dict(market.macro)
    for symbol in SLIPPED_PRICES:
        table = prices[symbol].copy()
        step = np.exp(0.008 * np.cumsum(_tomorrow(table, days, shocks)))
        for column in _PRICES:
            table[column] *= step
        prices[symbol] = _slipped(table)
    table = macro[SLIPPED_SERIES].copy()
    table["value"] *= np.exp(-0.05 * _tomorrow(table, days, shocks))
    macro[SLIPPED_SERIES] = _slipped(table)
    return replace(market, prices=prices, macro=macro)


def _slipped(table: pd.DataFrame) -> pd.DataFrame:
    """Set ``available_at`` to 06:00 UTC two days after the date."""
    known = pd.DatetimeIndex(table["date"]).tz_localize("UTC")
    table["available_at"] = known + pd.Timedelta(days=2, hours=6)
    return table
