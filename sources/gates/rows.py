"""Gates that look at one row at a time: its clock, its calendar, its values."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sources import calendars
from sources.gates.sieve import Sieve

FIRST_COIN = np.datetime64("2009-01-03")
"""Day of the first bitcoin block: a crypto bar before it was dated in the wrong unit."""

_OHLC_TOLERANCE = 1e-6
_FUTURE_KNOWN = np.timedelta64(31, "D")


def clock(sieve: Sieve, now: np.datetime64) -> None:
    """Take out rows that are not dated, dated after today, or known too late or before their day.

    A price must be known by now: a bar that closes later is unfinished. What
    is published with a lag may come before it is declared public, by 31 days.
    """
    dates, known = _clock(sieve)
    missing = np.isnat(dates) | np.isnat(known)
    sieve.take(missing, "no date", "an event date and available_at", ["none"] * missing.sum())
    dates, known = _clock(sieve)
    today = now.astype("datetime64[D]")
    sieve.take_values(dates > today, "future date", f"a date up to today, {today}", "date")
    _, known = _clock(sieve)
    if sieve.layout.kind == "prices":
        needed = f"a bar that has closed by {now.astype('datetime64[s]')}Z"
        sieve.take_values(known > now, "unfinished bar", needed, "available_at")
    else:
        last = now + _FUTURE_KNOWN
        needed = f"an instant up to {last.astype('datetime64[D]')}"
        sieve.take_values(known > last, "future instant", needed, "available_at")
    dates, known = _clock(sieve)
    needed = "an instant at or after the event date"
    sieve.take_values(known < dates, "known before its day", needed, "available_at")


def calendar(sieve: Sieve, *, is_crypto: bool, own_clock: bool) -> None:
    """Take out rows on days without trading, and prices known before their bar closed.

    Parameters
    ----------
    sieve : of prices or flows; macro series keep calendars of their own.
    is_crypto : whether every day trades.
    own_clock : the feed states ``available_at`` itself and is taken at its word.
    """
    kind = sieve.layout.kind
    if kind == "macro":
        return
    dates, _ = _clock(sieve)
    if is_crypto:
        early = dates < FIRST_COIN
        sieve.take_values(early, "too early", f"a date from {FIRST_COIN}", "date")
    else:
        closed = ~calendars.is_session(dates)
        sieve.take_values(closed, "closed day", "a session of XNYS", "date")
    if kind == "prices" and not own_clock:
        dates, known = _clock(sieve)
        rule = calendars.available_at_crypto if is_crypto else calendars.available_at_equity
        closes = rule(dates).tz_localize(None).to_numpy()
        needed = "an instant at or after the close of the bar (half days and clock changes too)"
        sieve.take_values(known < closes, "known before the close", needed, "available_at")


def values(sieve: Sieve) -> None:
    """Take out rows with a value that is infinite, out of its range, absent, or out of order."""
    for column, (low, high) in sieve.layout.bounds.items():
        found = sieve.kept[column].to_numpy()
        needed = f"{column} in [{low:g}, {high:g}]"
        # A comparison with NaN, which is absence, is false.
        sieve.take_values((found < low) | (found > high), "absurd value", needed, column)
    one_of = list(sieve.layout.one_of)
    none = sieve.kept[one_of].isna().all(axis=1).to_numpy()
    sieve.take(none, "no value", f"a value in {' or '.join(one_of)}", ["none"] * int(none.sum()))
    if sieve.layout.kind != "prices":
        return
    table = sieve.kept
    top, bottom = table["high"] * (1 + _OHLC_TOLERANCE), table["low"] * (1 - _OHLC_TOLERANCE)
    outside = (table[["open", "low", "close"]].max(axis=1) > top) | (
        table[["open", "close"]].min(axis=1) < bottom
    )
    bad = outside.to_numpy()
    bars = [
        f"open {row.open:g}, high {row.high:g}, low {row.low:g}, close {row.close:g}"
        for row in table[bad].itertuples()
    ]
    sieve.take(bad, "inconsistent bar", "low <= open, close <= high", bars)


def conflicts(sieve: Sieve) -> None:
    """Leave out rows said twice; take out those that say two things of one day and instant."""
    sieve.drop_repeats()
    both = sieve.kept.duplicated(["date", "available_at"], keep=False).to_numpy()
    needed = "one row a date and available_at"
    value = sieve.layout.one_of[0]
    sieve.take_values(both, "conflicting rows", needed, value)


def _clock(sieve: Sieve) -> tuple[np.ndarray, np.ndarray]:
    known = pd.DatetimeIndex(sieve.kept["available_at"]).tz_localize(None)
    return sieve.kept["date"].to_numpy(), known.to_numpy()
