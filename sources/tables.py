"""Tables of a market directory: cells to a frame of :class:`sources.market.Market`, checked.

What a file leaves out is settled here, once:

- ``available_at``: the file's own wins, cell by cell. Else prices are known at the exchange's
  close (crypto at the next midnight UTC), flows and macro series by their publication lag.
- Rows of an equity on a day without session are quarantined: left out, with a warning that
  counts them. More than 1 % of them (and more than one) is another calendar: refused.
- Macro rows without a value (empty, or FRED's ``.``) say nothing and are left out.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sources import calendars, cells
from sources.schemas import check_header, check_table

if TYPE_CHECKING:
    from sources.raw_files import RawFile
    from sources.schemas import Layout

_LOG = logging.getLogger(__name__)

_FUTURE_KNOWN = np.timedelta64(31, "D")
_CLOSED_DAYS_SHARE = 0.01
_SPARSE = np.timedelta64(8, "D")


def build_table(
    file: RawFile, layout: Layout, symbol: str, *, is_crypto: bool, today: np.datetime64
) -> pd.DataFrame:
    """Build the frame of one price, flow or macro file.

    Parameters
    ----------
    file : as opened.
    layout : of the folder it was in.
    symbol : its name without suffix.
    is_crypto : whether it trades every day.
    today : instant, UTC, after whose day no row may be dated.

    Returns
    -------
    Frame as :class:`sources.market.Market` describes it.

    Raises
    ------
    SchemaError
        Naming file, column and row of the first thing that is not as the layout says.
    """
    check_header(file.table.column_names, layout, file.source)
    length = len(file.table)
    date, known = clock(file, today)
    columns = {
        name: cells.numbers(file.table[name], file.place(name), layout.absent)
        if name in file.table.column_names
        else np.full(length, np.nan)
        for name in layout.bounds
    }
    keep = np.ones(length, dtype=bool)
    if layout.kind == "prices" and not is_crypto:
        keep = on_session(file, date)
    elif layout.kind == "macro":
        keep = ~np.isnan(columns["value"])
        if not keep.any():
            raise file.place("value").error("at least one value", "none")
    absent = keep & np.isnat(known)
    known[absent] = known_by_rule(file, layout.kind, date[absent], symbol, is_crypto=is_crypto)
    frame = pd.DataFrame({"date": date, **columns, "available_at": known}).loc[keep]
    frame["available_at"] = frame["available_at"].dt.tz_localize("UTC")
    check_table(frame, layout.kind, file.source, file.first_row)
    return frame.reset_index(drop=True)


def clock(file: RawFile, today: np.datetime64) -> tuple[np.ndarray, np.ndarray]:
    """Return event dates, and the file's own ``available_at`` (NaT where it has none)."""
    dates = file.table["date"]
    date = cells.days(dates, file.place("date"))
    day = today.astype("datetime64[D]")
    file.place("date").refuse(date > day, dates, f"dates up to today, {day}")
    known = np.full(len(date), np.datetime64("NaT", "us"))
    if "available_at" in file.table.column_names:
        place, stated = file.place("available_at"), file.table["available_at"]
        known = cells.instants(stated, place).copy()
        last = (today + _FUTURE_KNOWN).astype("datetime64[D]")
        place.refuse(known > last, stated, f"an instant at or before {last}")
    return date, known


def on_session(file: RawFile, date: np.ndarray) -> np.ndarray:
    """Return which rows are on sessions of XNYS; quarantine a few others, refuse many."""
    session = calendars.is_session(date)
    closed = int((~session).sum())
    if closed:
        first = np.datetime_as_string(date[~session][0], unit="D")
        if closed > max(1, _CLOSED_DAYS_SHARE * len(date)):
            raise file.place("date").error(
                "sessions of XNYS (a symbol that trades every day belongs in the crypto universe)",
                f"{closed} other days, first {first}",
                int((~session).argmax()),
            )
        _LOG.warning(
            "%s: %d row(s) quarantined on days without session, first %s",
            file.source, closed, first,
        )  # fmt: skip
    return session


def known_by_rule(
    file: RawFile, kind: str, dates: np.ndarray, symbol: str = "", *, is_crypto: bool = False
) -> np.ndarray:
    """Return the instants that a file without ``available_at`` leaves to the contract's clock."""
    if kind == "prices":
        rule = calendars.available_at_crypto if is_crypto else calendars.available_at_equity
        known = rule(dates)
    elif kind == "flows":
        known = calendars.available_at_flows(dates)
    else:
        if (
            symbol not in calendars.PUBLICATION_LAGS
            and len(dates) > 1
            and np.median(np.diff(dates)) > _SPARSE
        ):
            # A monthly series is dated weeks before it is published.
            raise file.place("available_at").error(
                "a column available_at, for a series neither daily nor weekly", "none"
            )
        known = calendars.available_at_macro(symbol, dates)
    instants: np.ndarray = known.tz_localize(None).to_numpy()
    return instants
