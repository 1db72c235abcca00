"""Macro series of a simulated market, at their real frequencies and publication lags."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sources.calendars import available_at_macro
from sources.simulated.noise import stream

_WEDNESDAY = 2


@dataclass(frozen=True)
class Series:
    """A positive level: ``middle * exp(AR(1))``, weekly on Wednesdays or on sessions.

    Attributes
    ----------
    middle : median, in the source's own unit.
    persistence : of the logarithm, from value to value.
    deviation : of the logarithm, in the long run.
    weekly : dated on Wednesdays, else on sessions.
    wild_factor : factor while the index is in its wild state.
    """

    middle: float
    persistence: float
    deviation: float
    weekly: bool = False
    wild_factor: float = 1.0


SERIES = {
    "WALCL": Series(6.0e6, 0.998, 0.25, weekly=True),
    "WTREGEN": Series(4.0e5, 0.97, 0.40, weekly=True),
    "RRPONTSYD": Series(150.0, 0.995, 0.80),
    "DGS2": Series(2.0, 0.999, 0.40),
    "DGS10": Series(2.8, 0.999, 0.25),
    "VIXCLS": Series(15.0, 0.96, 0.15, wild_factor=1.6),
}


LIQUIDITY = "WALCL"


def weekly_dates(days: np.ndarray | pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return the Wednesdays among some days."""
    dates = pd.DatetimeIndex(days)
    return dates[dates.day_of_week == _WEDNESDAY]


def liquidity_shocks(weeks: int, seed: int) -> np.ndarray:
    """Return (weeks,) standard normal shocks of WALCL.

    They can be had back from the file: with ``x = ln(value / middle) / deviation`` the first is
    x and the others are ``(x' - persistence x) / sqrt(1 - persistence^2)``.
    """
    return stream(seed, f"macro {LIQUIDITY}").standard_normal(weeks)


def macro_tables(
    days: pd.DatetimeIndex,
    sessions: pd.DatetimeIndex,
    states: np.ndarray,
    seed: int,
    *,
    liquidity: np.ndarray | None = None,
) -> dict[str, pd.DataFrame]:
    """Make the table of each series.

    Parameters
    ----------
    liquidity : (weeks,) standard normal shocks of WALCL in place of its own.
    days : (n,) all days of the market.
    sessions : (m,) the sessions among them.
    states : (m,) the index's volatility state on each session.

    Returns
    -------
    series -> frame ``date,value,available_at``.
    """
    wednesdays = weekly_dates(days)
    tables = {}
    for name, series in SERIES.items():
        dates = wednesdays if series.weekly else sessions
        shocks = stream(seed, f"macro {name}").standard_normal(len(dates))
        if name == LIQUIDITY and liquidity is not None:
            shocks = liquidity
        value = series.middle * np.exp(
            series.deviation * unit_autoregression(shocks, series.persistence)
        )
        if not series.weekly:
            value = value * np.where(states == 1, series.wild_factor, 1.0)
        tables[name] = pd.DataFrame(
            {"date": dates, "value": value, "available_at": available_at_macro(name, dates)}
        )
    return tables


def unit_autoregression(shocks: np.ndarray, persistence: float) -> np.ndarray:
    """Turn standard normal shocks into an AR(1) of unit variance, started in its long run."""
    path = np.empty(len(shocks))
    kick = float(np.sqrt(1 - persistence**2))
    now = 0.0
    for row, shock in enumerate(shocks.tolist()):
        now = shock if row == 0 else persistence * now + kick * shock
        path[row] = now
    return path
