"""What the worlds build their drivers from: everything that is published, ready to use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sources.calendars import available_at_macro
from sources.simulated.equities import IndexPath, credit_shocks, simulate_index
from sources.simulated.macro import LIQUIDITY, liquidity_shocks, weekly_dates
from sources.simulated.noise import stream
from sources.simulated.panel import CrossSection, constituents
from sources.simulated.signals import appetite
from sources.simulated.timeline import Timeline

LEAD_CORRELATION = 0.6
"""Of the index's shock with crypto's of the day before, where crypto leads."""
_COMMON_CORRELATION = 0.5
"""Of the shocks of index and WALCL with that of credit, where they have a common driver."""


@dataclass(frozen=True)
class Known:
    """The published side of a market.

    Attributes
    ----------
    timeline : of the market.
    index : the small-cap index, a row a session.
    flows, appetite : (m,) float64, flows in units of surprise, and what they reveal.
    section : what the constituents show.
    credit : (m,) float64, shocks of high yield.
    liquidity : (w,) float64, weekly shocks of WALCL.
    liquidity_clock : (n + ahead,) int64, values of WALCL published by T(d).
    turn : day from which a relation that breaks is another.
    """

    timeline: Timeline
    index: IndexPath
    flows: np.ndarray
    appetite: np.ndarray
    section: CrossSection
    credit: np.ndarray
    liquidity: np.ndarray
    liquidity_clock: np.ndarray
    turn: int


def publish(
    days: Timeline,
    seed: int,
    *,
    constituent_count: int,
    turn: int,
    lead: str,
    crypto_shocks: np.ndarray,
) -> Known:
    """Draw all that is not crypto.

    Parameters
    ----------
    lead : what the index follows: ``credit`` on the same session (and WALCL by the week),
        ``crypto`` by a day, or nothing where empty.
    crypto_shocks : (n,) standard normal, the crypto market's own.
    """
    sessions = days.session_count
    weeks = weekly_dates(days.dates)
    credit = credit_shocks(sessions, seed)
    liquidity = liquidity_shocks(int((weeks < days.dates[days.days]).sum()), seed)
    shared, correlation = None, 0.0
    if lead == "crypto":
        shared = crypto_shocks[np.maximum(days.sessions[:sessions] - 1, 0)]
        correlation = LEAD_CORRELATION
    elif lead == "credit":
        shared, correlation = credit, _COMMON_CORRELATION
        liquidity = (
            np.sqrt(1 - correlation**2) * liquidity
            + correlation * _weekly(credit, days.session_dates, weeks)[: len(liquidity)]
        )
    index = simulate_index(sessions, seed, shared, correlation)
    flows, revealed = appetite(stream(seed, "flows").standard_normal(sessions))
    return Known(
        timeline=days,
        index=index,
        flows=flows,
        appetite=revealed,
        section=constituents(index, days.session_dates, constituent_count, seed),
        credit=credit,
        liquidity=liquidity,
        liquidity_clock=days.count(available_at_macro(LIQUIDITY, weeks)),
        turn=turn,
    )


def _weekly(shocks: np.ndarray, sessions: pd.DatetimeIndex, weeks: pd.DatetimeIndex) -> np.ndarray:
    """Return (w,) unit sums of the shocks of the sessions after one Wednesday and to the next."""
    week = np.searchsorted(weeks.to_numpy(), sessions.to_numpy())
    count = np.bincount(week, minlength=len(weeks))[: len(weeks)]
    total = np.bincount(week, shocks, minlength=len(weeks))[: len(weeks)]
    unit: np.ndarray = total / np.sqrt(np.maximum(count, 1))
    return unit
