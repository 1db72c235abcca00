"""Gates that look at a feed as a whole: does it move, does it end, does it leave days out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sources import calendars
from sources.gates.sieve import Sieve
from sources.publication import publication

REPEATS = 5
"""Rows in a row that may not all say the same. Real funds have said it three times."""

_GRACE = np.timedelta64(12, "h")


def constant_rows(sieve: Sieve, before: pd.DataFrame) -> str | None:
    """Take out prices that repeat the row before them for the fifth time and on.

    Of flows and macro series a value may well hold for months. Returns why the
    feed is stale where the run lasts to its end.
    """
    if sieve.layout.kind != "prices":
        return None
    both = pd.concat([before, sieve.kept], ignore_index=True)
    found = both[list(sieve.layout.bounds)].to_numpy()
    same = ((found[1:] == found[:-1]) | (np.isnan(found[1:]) & np.isnan(found[:-1]))).all(axis=1)
    index = np.arange(len(both))
    changed = np.maximum.accumulate(np.where(np.append(True, ~same), index, 0))
    run = index - changed + 1
    if len(run) == 0 or run.max() < REPEATS:
        return None
    bad = (run >= REPEATS)[len(before) :]
    lengths = [f"the same {length} times" for length in run[len(before) :][bad]]
    last = int(run[-1])
    sieve.take(bad, "constant feed", f"fewer than {REPEATS} equal rows in a row", lengths)
    if last < REPEATS:
        return None
    return f"needed fewer than {REPEATS} equal rows in a row; found the last {last} equal"


def shifted(fetched: pd.DataFrame, stored: pd.DataFrame, columns: tuple[str, ...]) -> bool:
    """Tell whether a feed is the earlier one under dates moved on by one row.

    Yesterday's file with today's name: on at least five shared days each value is
    the one stored for the row before, and not all equal the day's own.

    Parameters
    ----------
    fetched, stored : one row a date, ascending.
    columns : value columns.
    """
    moved = stored.copy()
    moved[list(columns)] = stored[list(columns)].shift(1)
    shared = fetched.merge(moved.iloc[1:], on="date", suffixes=("", "_moved"))
    own = fetched.merge(stored.iloc[1:], on="date", suffixes=("", "_own"))
    if len(shared) < REPEATS:
        return False
    late = own_equal = True
    for column in columns:
        values = shared[column].to_numpy()
        late &= np.array_equal(values, shared[f"{column}_moved"].to_numpy(), equal_nan=True)
        own_equal &= np.array_equal(values, own[f"{column}_own"].to_numpy(), equal_nan=True)
    return bool(late and not own_equal)


def gaps(
    folder: str,
    dates: pd.DatetimeIndex,
    start: pd.Timestamp,
    now: np.datetime64,
    *,
    is_crypto: bool,
) -> pd.DatetimeIndex:
    """Return the days from ``start`` on whose value was due by now, and which are not there.

    Parameters
    ----------
    folder : ``prices`` or ``flows``; a macro series has a calendar of its own: no gaps.
    dates : (n,) days there are.
    start : first day looked at; NaT where there is none.
    now : instant, UTC. A value is due half a day after it became available.
    is_crypto : whether every day trades.
    """
    none = pd.DatetimeIndex([], dtype="M8[us]")
    last = pd.Timestamp(now).normalize()
    if folder == "macro" or not start <= last:  # NaT is no day
        return none
    if is_crypto:
        expected = calendars.to_us(pd.date_range(start, last))
        due = calendars.available_at_crypto(expected)
    else:
        expected = calendars.sessions_between(start, last)
        if folder == "prices":
            due = calendars.available_at_equity(expected)
        else:
            due = calendars.available_at_flows(expected)
    expected = expected[due.tz_localize(None).to_numpy() + _GRACE <= now]
    missing: pd.DatetimeIndex = expected.difference(dates)
    return missing


def staleness(
    folder: str, series: str, table: pd.DataFrame, now: np.datetime64, *, is_crypto: bool
) -> str | None:
    """Return why the newest row of a series is too old, or None.

    Counted from when the newest event date first became known: an old row that
    is published again is no news.

    Parameters
    ----------
    folder, series : what it is, for its limit in :mod:`sources.publication`.
    table : all rows that there are, stored and accepted.
    now : instant, UTC.
    is_crypto : whether every day trades.
    """
    limit = publication(folder, series, is_crypto=is_crypto).stale_after_days
    if table.empty:
        return f"needed a row at most {limit:g} days old; found none"
    newest = table["date"].max()
    known = table.loc[table["date"] == newest, "available_at"].min().tz_localize(None)
    age = (pd.Timestamp(now) - known) / pd.Timedelta(days=1)
    if age <= limit:
        return None
    return f"needed a row at most {limit:g} days old; found {newest.date()}, {age:.1f} days old"
