"""Daily bars, of whichever provider, as a table of prices: finished, ordered, each day once.

What is left out is counted and logged: bars that were not finished when they were fetched, days
without a close, the same row twice, and (few) equity rows on days without session. Too many of
them are another feed than the one asked for, and refused whole.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sources import calendars
from sources.errors import EmptyFeedError, SchemaError
from sources.schemas import PRICES, check_table

_LOG = logging.getLogger(__name__)

_FEW = 2
"""Rows that may always be left out: today's bar, and a duplicate of it."""
_SHARE = 0.01
"""Of the rows that may be left out, where that is more."""
_GENESIS = np.datetime64("2009-01-03")
"""Day of the first block of the first coin: earlier bars are a mistaken unit."""
_LAST = np.datetime64("2100-01-01")


@dataclass(frozen=True)
class Bars:
    """Bars as a provider sent them, in its order.

    Attributes
    ----------
    date : (n,) datetime64, the day of each.
    values : column of the prices' layout -> (n,) float64, NaN where absent; others are absent.
    """

    date: np.ndarray
    values: Mapping[str, np.ndarray]


def finished(
    start: dt.date, end: dt.date, now: dt.datetime, *, is_crypto: bool
) -> tuple[dt.date, dt.date] | None:
    """Return the first and last day of a range whose bars are finished; None where none is.

    Parameters
    ----------
    start, end : days, both included.
    now : instant, with zone.
    is_crypto : whether every day has a bar, or only sessions of XNYS.
    """
    if is_crypto:
        days = pd.date_range(start, end, unit="us")
        known = calendars.available_at_crypto(days)
    else:
        days = calendars.sessions_between(pd.Timestamp(start), pd.Timestamp(end))
        known = calendars.available_at_equity(days)
    days = days[known <= pd.Timestamp(now)]
    return None if days.empty else (days[0].date(), days[-1].date())


def price_table(
    source: str, bars: Bars, fetched_at: dt.datetime, *, is_crypto: bool, first_row: int = 1
) -> pd.DataFrame:
    """Build the table of prices of one series.

    Parameters
    ----------
    source : provider and series, for messages.
    bars : as sent.
    fetched_at : instant of the answer, by which a bar must have been finished.
    is_crypto : whether every day has a bar, finished at the next midnight UTC; else sessions of
        XNYS, finished at their close.
    first_row : what messages call the first bar.

    Returns
    -------
    Frame of :data:`sources.schemas.PRICES`, days ascending, each once.

    Raises
    ------
    EmptyFeedError
        Where no finished bar is left.
    SchemaError
        Where one day has two different bars, a value is out of range, or too many rows are left
        out.
    """
    frame = pd.DataFrame(
        {
            "date": calendars.to_us(bars.date),
            **{name: bars.values.get(name, np.nan) for name in PRICES.bounds},
        }
    ).astype(dict.fromkeys(PRICES.bounds, "float64"))
    sent = len(frame)
    if is_crypto and (frame["date"] < _GENESIS).any():
        first = frame["date"].min().date()
        raise SchemaError(source, column="date", expected=f"days from {_GENESIS}", found=str(first))
    frame = _keep(frame, frame["close"].notna() | frame["adj_close"].notna(), source, "no close")
    if not is_crypto:
        session = calendars.is_session(frame["date"].to_numpy())
        frame = _keep(frame, session, source, "no session of XNYS that day")
    rule = calendars.available_at_crypto if is_crypto else calendars.available_at_equity
    known = pd.Series(rule(frame["date"].to_numpy()), index=frame.index)
    frame = _keep(
        frame.assign(available_at=known),
        known <= fetched_at,
        source,
        f"unfinished at {fetched_at:%Y-%m-%dT%H:%MZ}",
    )
    frame = frame.sort_values("date", kind="stable")
    again = frame.duplicated()
    if again.any():
        _LOG.warning("%s: %d row(s) sent twice", source, again.sum())
        frame = frame[~again]
    twice = frame["date"].duplicated()
    if twice.any():
        day = frame.loc[twice, "date"].iloc[0].date()
        raise SchemaError(
            source, column="date", expected="one bar a day", found=f"two different ones of {day}"
        )
    if frame.empty:
        raise EmptyFeedError(source, expected="a finished bar", found=f"none in {sent} row(s)")
    check_table(frame, "prices", source, first_row)
    return frame.reset_index(drop=True)


def _keep(frame: pd.DataFrame, keep: pd.Series | np.ndarray, source: str, why: str) -> pd.DataFrame:
    """Return the rows to keep; log how many are not, and refuse where they are many."""
    left_out = frame[~np.asarray(keep)]
    if len(left_out) > max(_FEW, _SHARE * len(frame)):
        raise SchemaError(
            source,
            column="date",
            expected=f"at most {_SHARE:.0%} of the rows, or {_FEW}, left out ({why})",
            found=f"{len(left_out)} of {len(frame)}",
        )
    if len(left_out):
        first = left_out["date"].iloc[0].date()
        _LOG.warning("%s: %d row(s) left out, first %s: %s", source, len(left_out), first, why)
    return frame[np.asarray(keep)]


def no_table() -> pd.DataFrame:
    """Return a table of prices without a row: nothing was finished, so nobody was asked."""
    frame = pd.DataFrame({name: np.array([], dtype="float64") for name in PRICES.bounds})
    frame.insert(0, "date", np.array([], dtype="datetime64[us]"))
    frame["available_at"] = pd.DatetimeIndex([], dtype="datetime64[us, UTC]")
    return frame


def midnights(times: np.ndarray, source: str) -> np.ndarray:
    """Return the days that bars open on, from milliseconds or microseconds since 1970.

    Parameters
    ----------
    times : (n,) int64. Between 2009 and 2100 no number of milliseconds is one of microseconds;
        seconds and nanoseconds are refused, and so is a mix.
    source : provider and series, for messages.

    Returns
    -------
    (n,) datetime64[us] at midnight.

    Raises
    ------
    SchemaError
        Where a time is of another unit, or no midnight UTC.

    Examples
    --------
    >>> str(midnights(np.array([1732838400000]), "klines BTC")[0])
    '2024-11-29T00:00:00.000000'
    """
    if len(times) == 0:
        return np.array([], dtype="datetime64[us]")
    low, high = (day.astype("M8[ms]").astype("int64") for day in (_GENESIS, _LAST))
    unit = 1 if ((times >= low * 1000) & (times <= high * 1000)).all() else 1000
    microseconds = times * unit
    known = (microseconds >= low * 1000) & (microseconds <= high * 1000)
    bad = ~known | (microseconds % 86_400_000_000 != 0)
    if bad.any():
        row = int(bad.argmax())
        raise SchemaError(
            source,
            column="date",
            row=row + 1,
            expected=f"milliseconds of a midnight UTC, {_GENESIS} to {_LAST}",
            found=str(times[row]),
        )
    dates: np.ndarray = microseconds.astype("datetime64[us]")
    return dates
