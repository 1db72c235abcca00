"""Regimes of a session, each known on it: the decade, how turbulent, how loose money is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.clock import as_known
from features.liquidity import BILLION_PER_TRILLION, MILLION_PER_TRILLION
from sources.market import Market

TURN = np.datetime64("2020-01-01", "D")
QUARTER = 91
LEAST_HISTORY = 252
LIQUIDITY = ("WALCL", "WTREGEN", "RRPONTSYD")


@dataclass(frozen=True)
class Regime:
    """A way to split sessions in two.

    Attributes
    ----------
    name : what is split by.
    sides : side -> (m,) bool; a session on which it was not known is in neither.
    """

    name: str
    sides: Mapping[str, np.ndarray]


def regimes_of(market: Market, dates: np.ndarray) -> tuple[Regime, ...]:
    """Return the regimes that the market can tell, as they were known at T of each session.

    Turbulent is a VIX above the median of its own past, loose a net liquidity that rose over
    91 days (WALCL - WTREGEN - RRPONTSYD).

    Parameters
    ----------
    dates : (m,) datetime64[D], ascending.
    """
    every = np.ones(len(dates), dtype=bool)
    found = [
        Regime("all", {"all sessions": every}),
        Regime("period", {"before 2020": dates < TURN, "since 2020": dates >= TURN}),
    ]
    vix = known_level(market, "VIXCLS", dates)
    if vix is not None:
        past = pd.Series(vix).expanding(LEAST_HISTORY).median().to_numpy()
        found.append(Regime("VIX", {"calm": vix <= past, "turbulent": vix > past}))
    change = liquidity_change(market, dates)
    if change is not None:
        found.append(Regime("net liquidity", {"tight": change <= 0, "loose": change > 0}))
    return tuple(found)


def known_level(market: Market, series: str, dates: np.ndarray) -> np.ndarray | None:
    """Return (m,) the value of a macro series known at T of each date; None without the series."""
    if series not in market.macro:
        return None
    asked = pd.DatetimeIndex(dates.astype("datetime64[us]"))
    values, _ = as_known(market.macro[series], asked)
    return values["value"].to_numpy("float64")


def liquidity_change(market: Market, dates: np.ndarray) -> np.ndarray | None:
    """Return (m,) the log change of net liquidity over 91 days, both ends as known at their T."""
    both = []
    for asked in (dates, dates - np.timedelta64(QUARTER, "D")):
        levels = [known_level(market, series, asked) for series in LIQUIDITY]
        if any(level is None for level in levels):
            return None
        assets, treasury, repo = (np.asarray(level) for level in levels)
        net = (assets - treasury) / MILLION_PER_TRILLION - repo / BILLION_PER_TRILLION
        both.append(np.log(np.where(net > 0, net, np.nan)))
    change: np.ndarray = both[0] - both[1]
    return change
