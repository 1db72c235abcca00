"""The days of a simulated market, and what was knowable on each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sources.calendars import available_at_equity, available_at_flows, is_session, to_us

_DAY = np.timedelta64(1, "D")
_YEAR_DAYS = 365.2425


@dataclass(frozen=True)
class Timeline:
    """Every day from the first to the last, and enough after it for the longest horizon.

    Attributes
    ----------
    dates : (n + ahead,) datetime64[us], consecutive days.
    days : n, how many of them belong to the market.
    sessions : (m,) int64, positions in ``dates`` of the XNYS sessions, those ahead included.
    closed : (n + ahead,) int64, sessions closed at T(d), so the last of them is row
        ``closed[d] - 1`` of ``sessions``; 0 before the first.
    published : (n + ahead,) int64, the same for flows published by T(d).
    """

    dates: np.ndarray
    days: int
    sessions: np.ndarray
    closed: np.ndarray
    published: np.ndarray

    @property
    def session_count(self) -> int:
        """Sessions that belong to the market."""
        return int(np.searchsorted(self.sessions, self.days))

    @property
    def session_dates(self) -> pd.DatetimeIndex:
        """Dates of the sessions that belong to the market."""
        return pd.DatetimeIndex(self.dates[self.sessions[: self.session_count]])

    def count(self, available_at: pd.DatetimeIndex) -> np.ndarray:
        """Count by day how many of some ascending instants have come by T(d)."""
        return _count(self.dates, available_at)


def _count(dates: np.ndarray, available_at: pd.DatetimeIndex) -> np.ndarray:
    naive = available_at.tz_localize(None).to_numpy()
    counts: np.ndarray = np.searchsorted(naive, dates + _DAY, side="right")
    return counts


def timeline(start: str, years: float, ahead: int) -> Timeline:
    """Lay out the days.

    Parameters
    ----------
    start : first day, ISO.
    years : length, in mean Gregorian years.
    ahead : days to know the calendar of beyond the last one.
    """
    days = round(years * _YEAR_DAYS)
    first = np.datetime64(start, "D")
    dates = to_us(first + np.arange(days + ahead))
    sessions = np.flatnonzero(is_session(dates))
    stamps = pd.DatetimeIndex(dates[sessions])

    return Timeline(
        dates=dates,
        days=days,
        sessions=sessions,
        closed=_count(dates, available_at_equity(stamps)),
        published=_count(dates, available_at_flows(stamps)),
    )
