"""The gates in their order, for one series of prices, flows or macro values."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from sources.calendars import to_us
from sources.errors import SchemaError
from sources.gates import feeds, jumps, rows
from sources.gates.sieve import Screened, Sieve
from sources.market import known_at
from sources.schemas import LAYOUTS, check_table

# Of prices all but the volume, as the store has it: what it finds rebased is asked for whole.
_RESCALED = {
    "prices": tuple(name for name in LAYOUTS["prices"].bounds if name != "volume"),
    "flows": (),
    "macro": ("value",),
}
# Of one that stands in for another: what it opened at may be in an adjustment of its own.
_CLOSES = ("close", "adj_close", "value")
# Relative change of a whole history: a fund's smallest dividends are ten times the first; coins,
# which pay none, stand 2 % apart on two markets; a macro series is another one in other units only.
_DIVIDEND, _MARKETS_APART, _UNITS_APART = 2e-4, 0.05, 0.9


def screen(
    folder: str,
    series: str,
    fetched: pd.DataFrame,
    stored: pd.DataFrame | None = None,
    *,
    now: pd.Timestamp,
    is_crypto: bool = False,
    own_clock: bool = False,
    stands_in: bool = False,
    released: Iterable[np.datetime64] = (),
) -> Screened:
    """Divide what a feed brought into rows to keep and rows to set aside, or refuse it whole.

    Parameters
    ----------
    folder : ``prices``, ``flows`` or ``macro``.
    series : its name there.
    fetched : table with the columns and types of :class:`sources.market.Market`; values and
        order may be anything.
    stored : all vintages there are already, or None.
    now : instant, with zone.
    is_crypto : whether it trades every day.
    own_clock : the feed states ``available_at`` itself; then it may come before the bar's close.
    stands_in : it comes from another source than what is stored.
    released : days on which a leap of the price is real: told by hand, or by a second source.

    Returns
    -------
    Screened. What is equal to a stored row is accepted again; the store knows it.

    Raises
    ------
    SchemaError
        Where columns or types are other ones.
    DataUnavailableError
        Where more than 5 rows and 5 % of all fail, or the feed is an old one under new dates.
    """
    source, layout = f"{folder}/{series}", LAYOUTS[folder]
    _require_layout(fetched, folder, source)
    instant = to_us(now.tz_convert("UTC").tz_localize(None)).to_datetime64()
    held = fetched.iloc[:0] if stored is None else stored
    latest = known_at(held, now)
    sieve = Sieve(fetched, layout, source)
    rows.clock(sieve, instant)
    rows.calendar(sieve, is_crypto=is_crypto, own_clock=own_clock)
    rows.values(sieve)
    rows.conflicts(sieve)

    newest = known_at(sieve.kept, sieve.kept["available_at"].max())
    values = tuple(layout.bounds)
    if feeds.shifted(newest, latest, values):
        needed = "each day's own values"
        sieve.take_all("shifted feed", needed, "the values stored for the row before")
        sieve.refuse_if_many()
    least = _UNITS_APART if folder == "macro" else _MARKETS_APART if is_crypto else _DIVIDEND
    rescaled = tuple(name for name in _RESCALED[folder] if not stands_in or name in _CLOSES)
    rebased = jumps.rebased(newest, latest, rescaled, least)
    if rebased:
        column, factor = rebased
        sieve.take_all(
            "rebased", f"{column} in the adjustment that is stored", f"{column} x {factor:.6g}"
        )
        return Screened(sieve.kept, sieve.quarantined(), sieve.duplicates, rebased=factor)

    first = sieve.kept["date"].min()
    before = latest[latest["date"] < first] if len(sieve.kept) else latest
    before = before.tail(300)
    stale = feeds.constant_rows(sieve, before)
    if folder == "prices":
        jumps.jumps(sieve, before, is_crypto=is_crypto, released=frozenset(map(_day, released)))
    elif folder == "flows":
        jumps.fund_splits(sieve, before)
    sieve.refuse_if_many()
    accepted = sieve.kept
    check_table(accepted, folder, source)
    both = pd.concat([held, accepted]) if len(held) else accepted
    # From the newest stored day on; days left out before it were reported when it came.
    start = pd.Series([latest["date"].max(), accepted["date"].min()]).min()
    dates = pd.DatetimeIndex(both["date"])
    missing = feeds.gaps(folder, dates, start, instant, is_crypto=is_crypto)
    old = feeds.staleness(folder, series, both, instant, is_crypto=is_crypto)
    return Screened(accepted, sieve.quarantined(), sieve.duplicates, missing, old or stale)


def _require_layout(table: pd.DataFrame, folder: str, source: str) -> None:
    layout = LAYOUTS[folder]
    types = {"date": "datetime64[us]", "available_at": "datetime64[us, UTC]"}
    needed = {name: types.get(name, "float64") for name in layout.columns}
    found = {str(name): str(kind) for name, kind in table.dtypes.items()}
    if list(found.items()) != list(needed.items()):
        raise SchemaError(
            source,
            expected=", ".join(f"{name} {kind}" for name, kind in needed.items()),
            found=", ".join(f"{name} {kind}" for name, kind in found.items()),
        )


def _day(value: np.datetime64 | str | pd.Timestamp) -> np.datetime64:
    day: np.datetime64 = to_us(pd.Timestamp(value)).to_datetime64()
    return day
