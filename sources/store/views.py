"""Views: stored rows as the market that everything else reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sources.market import Market, Panel
from sources.revisions import PanelRevisions
from sources.schemas import LAYOUTS
from sources.store.rows import Block, Rows

ALWAYS = np.datetime64("1800-01-01", "us")
"""Members that came with the first closes: there was no panel without them."""


def market_of(
    rows: Rows, known_at: np.datetime64 | None, crypto: Sequence[str], name: str
) -> Market:
    """Return the market of all rows that had come by an instant, with all their vintages."""
    folders = {
        kind: {
            series: as_table(frame)
            for series, frame in by_series(rows.frame(kind, known_at)).items()
        }
        for kind in LAYOUTS
    }
    return Market(
        prices=folders["prices"],
        flows=folders["flows"],
        macro=folders["macro"],
        panel=panel_of(rows, known_at),
        crypto=tuple(symbol for symbol in crypto if symbol in folders["prices"]),
        name=name,
    )


def by_series(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return series -> its rows, by event date, availability and arrival; the series sorted."""
    names = frame["series"].astype(str).to_numpy(dtype=object)
    keys = (frame["ingested_at"], frame["available_at"], frame["event_date"])
    categories, codes = np.unique(names.astype(str), return_inverse=True)
    order = np.lexsort((*(key.to_numpy() for key in keys), codes))
    ordered = frame.iloc[order]
    bounds = np.searchsorted(codes[order], np.arange(len(categories) + 1))
    return {
        str(series): ordered.iloc[bounds[i] : bounds[i + 1]] for i, series in enumerate(categories)
    }


def as_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one series as a table of the market.

    Of rows that became available at the same instant the one that came last is meant: it replaced
    a value that was not out yet.
    """
    date, known = (frame[name].to_numpy() for name in ("event_date", "available_at"))
    last = np.append((date[1:] != date[:-1]) | (known[1:] != known[:-1]), True)[: len(date)]
    origin = {"series", "event_date", "available_at", "ingested_at", "stamped"}
    values = {name: frame[name].to_numpy()[last] for name in frame if name not in origin}
    return pd.DataFrame(
        {
            "date": date[last],
            **values,
            "available_at": pd.DatetimeIndex(known[last]).tz_localize("UTC"),
        }
    )


def panel_of(rows: Rows, known_at: np.datetime64 | None = None) -> Panel | None:
    """Return the constituents as known last, with what they were before; None where none came."""
    blocks = [b for b in rows.blocks if known_at is None or b.ingested_at <= known_at]
    sessions, cells = rows.frame("sessions", known_at), rows.frame("cells", known_at)
    if not blocks and not len(sessions):
        return None
    dates = np.concatenate([*(b.dates for b in blocks), sessions["event_date"].to_numpy()])
    known = np.concatenate([*(b.available_at for b in blocks), sessions["available_at"]])
    order = np.argsort(dates, kind="stable")
    dates, known = dates[order], known[order].astype("datetime64[us]")
    symbols = _symbols(blocks, cells)
    closes = _filled(blocks, dates, symbols)
    if len(cells) and any(closes is block.closes for block in blocks):
        closes = closes.copy()
    revisions = _apply(cells, dates, known, symbols, closes)
    members, changes = _members(rows.frame("members", known_at))
    if revisions is None and changes:
        nothing = np.zeros(0, dtype="int64")
        revisions = PanelRevisions(nothing, nothing, nothing.astype(float), known[:0], changes)
    elif revisions is not None:
        revisions = PanelRevisions(
            revisions.rows, revisions.columns, revisions.before, revisions.available_at, changes
        )
    return Panel(dates, symbols, closes, known, members, revisions)


def _symbols(blocks: Sequence[Block], cells: pd.DataFrame) -> tuple[str, ...]:
    """Return the tickers in the order in which they first came."""
    came = [(block.ingested_at, list(block.symbols)) for block in blocks]
    first = cells.drop_duplicates("symbol")
    instants = first["ingested_at"].to_numpy()
    names = first["symbol"].astype(str).to_numpy(dtype=object)
    came += [(instant, names[instants == instant].tolist()) for instant in np.unique(instants)]
    came.sort(key=lambda item: item[0])
    return tuple(dict.fromkeys(symbol for _, listed in came for symbol in listed))


def _filled(blocks: Sequence[Block], dates: np.ndarray, symbols: tuple[str, ...]) -> np.ndarray:
    if len(blocks) == 1 and blocks[0].symbols == symbols and len(blocks[0].dates) == len(dates):
        return blocks[0].closes
    closes = np.full((len(dates), len(symbols)), np.nan)
    column = pd.Index(symbols)
    for block in blocks:
        place = np.searchsorted(dates, block.dates)
        if block.symbols == symbols and (np.diff(place) == 1).all():
            closes[place[0] : place[-1] + 1] = block.closes
        else:
            closes[np.ix_(place, column.get_indexer(pd.Index(block.symbols)))] = block.closes
    return closes


def _apply(
    cells: pd.DataFrame,
    dates: np.ndarray,
    known: np.ndarray,
    symbols: tuple[str, ...],
    closes: np.ndarray,
) -> PanelRevisions | None:
    """Write single cells into the closes; return those that changed something known before."""
    if not len(cells):
        return None
    cells = cells.sort_values(["available_at", "ingested_at"], kind="stable")
    row = np.searchsorted(dates, cells["event_date"].to_numpy())
    column = pd.Index(symbols).get_indexer(pd.Index(cells["symbol"].astype(str)))
    value, since = cells["value"].to_numpy(), cells["available_at"].to_numpy()
    with_its_row = since <= known[row]
    closes[row[with_its_row], column[with_its_row]] = value[with_its_row]
    later = ~with_its_row
    row, column, value, since = row[later], column[later], value[later], since[later]
    # Of two values of one instant the one that came last is meant; the sort put it behind.
    order = np.lexsort((np.arange(len(row)), since, column, row))
    row, column, value, since = row[order], column[order], value[order], since[order]
    same = (row[1:] == row[:-1]) & (column[1:] == column[:-1])
    last = np.append(~(same & (since[1:] == since[:-1])), True)[: len(row)]
    row, column, value, since = row[last], column[last], value[last], since[last]
    if not len(row):
        return None
    same = (row[1:] == row[:-1]) & (column[1:] == column[:-1])
    before = np.where(np.append(False, same), np.append(np.nan, value[:-1]), closes[row, column])
    final = np.append(~same, True)
    closes[row[final], column[final]] = value[final]
    order = np.argsort(since, kind="stable")
    return PanelRevisions(
        rows=row[order],
        columns=column[order],
        before=before[order],
        available_at=since[order],
    )


def _members(
    frame: pd.DataFrame,
) -> tuple[pd.DataFrame | None, tuple[tuple[np.datetime64, pd.DataFrame | None], ...]]:
    """Return the last table of members, and what stood before each change."""
    changes: list[tuple[np.datetime64, pd.DataFrame | None]] = []
    members: pd.DataFrame | None = None
    for _, part in frame.groupby("ingested_at", sort=True):
        since = np.datetime64(part["available_at"].iloc[0], "us")
        if since > ALWAYS:
            changes.append((since, members))
        names = pd.Series(part["symbol"].astype(str).tolist(), dtype="str")
        start, end = (part[name].to_numpy() for name in ("start", "end"))
        members = pd.DataFrame({"symbol": names, "start": start, "end": end})
    return members, tuple(changes)
