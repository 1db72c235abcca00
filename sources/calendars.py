"""Calendars: when a day's datum became known.

Everything leaves this module in microseconds; :func:`to_us` is the one place that converts
(exchange_calendars counts in nanoseconds, pandas 3 in microseconds, and a join of the two fails).
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sources.publication import PUBLICATIONS, PublicationLag

if TYPE_CHECKING:
    from collections.abc import Mapping

Dates = pd.DatetimeIndex | pd.Series | np.ndarray
"""Days without zone: anything that :class:`pandas.DatetimeIndex` takes."""

FIRST_DAY = pd.Timestamp("1950-01-01")
"""First day the session calendar knows."""

_DAY = np.timedelta64(1, "D")


PUBLICATION_LAGS: Mapping[str, PublicationLag] = {
    name: row.lag
    for name, row in PUBLICATIONS.items()
    if row.lag is not None and name != "constituents"
}
"""Publication lag of flows, of each known macro series, and of any other one (``macro``)."""


def to_us(values: Any) -> Any:
    """Convert timestamps of any unit to microseconds, keeping kind and zone.

    Parameters
    ----------
    values : Timestamp, DatetimeIndex, Series of datetimes, or datetime64 array of any shape.

    Returns
    -------
    The same kind, in microseconds; what is finer than that is cut off.

    Examples
    --------
    >>> to_us(np.array(["2024-11-29"], dtype="M8[ns]")).dtype
    dtype('<M8[us]')
    """
    if isinstance(values, np.ndarray):
        return values.astype("datetime64[us]")
    if isinstance(values, pd.Series):
        return values.dt.as_unit("us")
    return values.as_unit("us")


def as_of_instant(day: pd.Timestamp | str) -> pd.Timestamp:
    """Return T(d), the instant of a score as of day ``d``: 00:00 UTC of the day after.

    Examples
    --------
    >>> as_of_instant("2024-11-29").isoformat()
    '2024-11-30T00:00:00+00:00'
    """
    instant: pd.Timestamp = to_us(pd.Timestamp(day)) + pd.Timedelta(days=1)
    return instant.tz_localize("UTC")


def is_session(dates: Dates) -> np.ndarray:
    """Tell which days are sessions of the New York Stock Exchange.

    Parameters
    ----------
    dates : (n,) days without zone; outside the calendar (1950 to a year from now) none is one.

    Returns
    -------
    (n,) bool.
    """
    sessions, _ = _calendar()
    days = _days(dates)
    place = np.minimum(np.searchsorted(sessions, days), len(sessions) - 1)
    found: np.ndarray = sessions[place] == days
    return found


def sessions_between(first: pd.Timestamp | str, last: pd.Timestamp | str) -> pd.DatetimeIndex:
    """Return the XNYS sessions from ``first`` to ``last``, both included, datetime64[us]."""
    sessions, _ = _calendar()
    start, stop = (to_us(pd.Timestamp(day)).to_datetime64() for day in (first, last))
    low, high = np.searchsorted(sessions, start), np.searchsorted(sessions, stop, side="right")
    return pd.DatetimeIndex(sessions[low:high])


def session_closes(dates: Dates) -> pd.DatetimeIndex:
    """Return the exchange's close of each session, half days included.

    Parameters
    ----------
    dates : (n,) sessions of XNYS, without zone.

    Returns
    -------
    (n,) datetime64[us, UTC]; 21:00 UTC in winter, 20:00 in summer, 18:00 or 17:00 on half days.

    Raises
    ------
    ValueError
        Where a day is no session.

    Examples
    --------
    >>> session_closes(pd.DatetimeIndex(["2024-11-29"]))[0].isoformat()
    '2024-11-29T18:00:00+00:00'
    """
    sessions, closes = _calendar()
    days = _days(dates)
    closed = ~is_session(days)
    if closed.any():
        first = np.datetime_as_string(days[closed][0], unit="D")
        msg = f"needed sessions of XNYS; found {closed.sum()} other days, first {first}"
        raise ValueError(msg)
    return _utc(closes[np.searchsorted(sessions, days)])


def available_at_equity(dates: Dates) -> pd.DatetimeIndex:
    """Return when an equity session becomes known: at its close. See :func:`session_closes`."""
    return session_closes(dates)


def available_at_crypto(dates: Dates) -> pd.DatetimeIndex:
    """Return when a crypto bar of day ``d`` becomes known: 00:00 UTC of ``d + 1``."""
    return _utc(_days(dates) + _DAY)


def available_at_flows(dates: Dates) -> pd.DatetimeIndex:
    """Return when a fund's flow becomes known without a date of its own: 13:00 UTC, next session.

    Parameters
    ----------
    dates : (n,) days without zone.

    Returns
    -------
    (n,) datetime64[us, UTC].
    """
    return _published(PUBLICATION_LAGS["flows"], dates)


def available_at_constituents(dates: Dates) -> pd.DatetimeIndex:
    """Return when a fund's holdings of a day become known: 13:00 UTC, next session.

    Parameters
    ----------
    dates : (n,) days without zone.

    Returns
    -------
    (n,) datetime64[us, UTC].
    """
    lag = PUBLICATIONS["constituents"].lag
    assert lag is not None
    return _published(lag, dates)


def available_at_macro(series: str, dates: Dates) -> pd.DatetimeIndex:
    """Return when a macro value becomes known, by the lag of its series in PUBLICATION_LAGS.

    Parameters
    ----------
    series : name, for instance ``WALCL``; an undeclared one gets the lag of ``macro``.
    dates : (n,) event dates without zone.

    Returns
    -------
    (n,) datetime64[us, UTC].
    """
    return _published(PUBLICATION_LAGS.get(series, PUBLICATION_LAGS["macro"]), dates)


def _published(lag: PublicationLag, dates: Dates) -> pd.DatetimeIndex:
    days = _days(dates) + lag.days * _DAY
    if lag.sessions:
        sessions, _ = _calendar()
        place = np.searchsorted(sessions, days) + lag.sessions
        if len(place) and place.max() >= len(sessions):
            last = np.datetime_as_string(sessions[-1], unit="D")
            msg = f"needed event dates {lag.sessions} sessions before {last}; found {days.max()}"
            raise ValueError(msg)
        days = sessions[place]
    return _utc(days + np.timedelta64(lag.minutes, "m"))


def _days(dates: Dates) -> np.ndarray:
    days: np.ndarray = to_us(pd.DatetimeIndex(dates)).to_numpy()
    return days


def _utc(instants: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(to_us(instants)).tz_localize("UTC")


@cache
def _calendar() -> tuple[np.ndarray, np.ndarray]:
    """Return all sessions and their closes (UTC), datetime64[us]; built once, on first use."""
    import exchange_calendars  # slow, and not everyone needs it

    last = pd.Timestamp.now().normalize() + pd.DateOffset(years=1)
    with warnings.catch_warnings():
        # exchange_calendars 4.13 builds itself with calls that pandas 3.1 deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        calendar = exchange_calendars.get_calendar("XNYS", start=FIRST_DAY, end=last)
    closes = to_us(pd.DatetimeIndex(calendar.closes)).tz_localize(None)
    return to_us(calendar.sessions).to_numpy(), closes.to_numpy()
