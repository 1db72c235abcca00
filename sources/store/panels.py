"""Arrivals of constituents: new sessions, late ones, and single cells that changed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from sources.market import Panel
from sources.store.feeds import Feed
from sources.store.rebasing import rebasing
from sources.store.rows import Block, Rows, make_table
from sources.store.views import ALWAYS

WIDE_SESSIONS = 64
"""From so many new sessions on they are kept as a block; fewer as single cells."""

LISTED = 20


@dataclass
class PanelArrivals:
    """What a feed of closes brings.

    Attributes
    ----------
    rows : to store.
    new : sessions that were unknown.
    revised : cells of known sessions that say something else, or something at last.
    rebased : symbols that stand on another basis than what is held before the feed's first date;
        nothing of them is stored, and their whole history is needed.
    """

    rows: Rows = field(default_factory=Rows)
    new: int = 0
    revised: int = 0
    rebased: tuple[str, ...] = ()


def panel_arrivals(held: Panel | None, feed: Feed, ingested_at: np.datetime64) -> PanelArrivals:
    """Compare a panel with the one held, cell by cell; NaN says nothing.

    Sessions after the last become available when the calendar or the feed says; cells and
    sessions before, when they arrive, or when the feed's own ``available_at`` says, if the cell
    has not spoken since. A symbol restated by one factor moves with the first new session.
    """
    panel = feed.panel
    assert panel is not None
    origin = {"ingested_at": ingested_at, "source": feed.source, "payload": feed.payloads[-1]}
    found = PanelArrivals()
    stated = np.broadcast_to(np.asarray(feed.stated, dtype=bool), len(panel.dates))
    if held is None:
        _add_sessions(found, panel, np.arange(len(panel.dates)), panel.available_at, False, origin)
        found.new = len(panel.dates)
        return found
    common = np.isin(panel.dates, held.dates)
    ahead = panel.dates > held.dates[-1] if len(held.dates) else ~common
    _change_cells(found, held, panel, stated, common, ahead, origin)
    kept = _without(panel, found.rebased)
    _add_sessions(found, kept, np.flatnonzero(ahead), panel.available_at, False, origin)
    arrival = np.where(stated, panel.available_at, np.maximum(panel.available_at, ingested_at))
    late = np.flatnonzero(~common & ~ahead)
    _add_sessions(found, kept, late, arrival, True, origin)
    found.new = len(late) + int(ahead.sum())
    return found


def member_arrivals(
    members: pd.DataFrame | None, first: bool, feed: Feed, ingested_at: np.datetime64
) -> tuple[Rows, int]:
    """Compare a table of members with the one held; return it whole where it differs, and how far.

    Parameters
    ----------
    members : held, or None.
    first : whether this batch brings the first closes: there is nothing to revise then.
    """
    table, rows = feed.table, Rows()
    assert table is not None
    columns = ["symbol", "start", "end"]
    table = table[columns].drop_duplicates(ignore_index=True)
    # The order of the rows says nothing, so it is not compared.
    both = table if members is None else pd.concat([table, members])
    differing = int((~both.duplicated(keep=False)).sum())
    if not differing or not len(table):
        return rows, 0
    known = ALWAYS if first and members is None else ingested_at
    rows.add(
        "members",
        make_table(
            "members",
            {
                "symbol": table["symbol"].to_numpy(object),
                "start": table["start"].to_numpy("datetime64[us]"),
                "end": table["end"].to_numpy("datetime64[us]"),
                **_clock(len(table), known, not first, ingested_at),
                "source": feed.source,
                "payload_sha256": feed.payloads[-1],
            },
        ),
    )
    return rows, differing


def _add_sessions(
    found: PanelArrivals,
    panel: Panel,
    rows: np.ndarray,
    available_at: np.ndarray,
    stamped: bool,
    origin: dict[str, object],
) -> None:
    if not len(rows):
        return
    ingested_at = np.datetime64(str(origin["ingested_at"]), "us")
    source, payload = str(origin["source"]), str(origin["payload"])
    dates, closes = panel.dates[rows], panel.closes[rows]
    known = available_at[rows].astype("datetime64[us]")
    if len(rows) >= WIDE_SESSIONS:
        block = Block(
            dates, panel.symbols, np.ascontiguousarray(closes), known, ingested_at, source, payload
        )
        found.rows.blocks.append(block)
        return
    there = {"source": source, "payload_sha256": payload}
    found.rows.add(
        "sessions",
        make_table(
            "sessions",
            {"event_date": dates, **_clock(len(rows), known, stamped, ingested_at), **there},
        ),
    )
    row, column = np.nonzero(~np.isnan(closes))
    _add_cells(found, panel, rows[row], column, known[row], np.full(len(row), stamped), origin)


def _change_cells(
    found: PanelArrivals,
    held: Panel,
    panel: Panel,
    stated: np.ndarray,
    common: np.ndarray,
    ahead: np.ndarray,
    origin: dict[str, object],
) -> None:
    """Add the cells of known sessions that say something else."""
    ingested_at = np.datetime64(str(origin["ingested_at"]), "us")
    rows = np.flatnonzero(common)
    if not len(rows):
        return
    place = np.searchsorted(held.dates, panel.dates[rows])
    column = pd.Index(held.symbols).get_indexer(pd.Index(panel.symbols))
    whole = panel.symbols == held.symbols and (np.diff(place) == 1).all()
    there = held.closes[place[0] : place[-1] + 1] if whole else held.closes[place][:, column]
    if (column < 0).any():
        there = np.where(column < 0, np.nan, there)
    said = panel.closes[rows]
    changed = (said != there) & ~np.isnan(said)
    if not changed.any():
        return
    moved, rebased = np.zeros_like(changed), []
    first_new = panel.available_at[ahead].min() if ahead.any() else None
    for j in np.flatnonzero((changed & ~np.isnan(there)).any(axis=0)):
        listed = ~np.isnan(held.closes[:, column[j]])
        begins = held.dates[int(listed.argmax())]
        shared = ~np.isnan(there[:, j]) & ~np.isnan(said[:, j])
        basis = rebasing(panel.dates[rows], said[:, [j]], there[:, [j]], shared, begins)
        moved[:, j] = basis.moved
        if basis.since is not None:
            rebased.append(panel.symbols[j])
            changed[:, j] = False
    found.rebased = tuple(rebased)
    row, at = np.nonzero(changed)
    claimed = panel.available_at[rows][row]
    base = _last_known(held, place[row], column[at])
    # What a feed says of the time before the cell spoke last cannot have been known then.
    own = stated[rows][row] & (claimed > base)
    known = np.where(own, claimed, np.maximum(np.maximum(claimed, ingested_at), base))
    stamped = ~own
    if first_new is not None:
        mine = moved[row, at] & (first_new > base)
        known, stamped = np.where(mine, first_new, known), stamped & ~mine
    found.revised = len(row)
    _add_cells(found, panel, rows[row], at, known, stamped, origin)


def _last_known(held: Panel, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Return since when each of some cells (k,) says what it says; a new symbol's is -1."""
    since: np.ndarray = held.available_at[row]
    if held.revisions is None or not len(held.revisions.rows):
        return since
    width = len(held.symbols)
    place = held.revisions.rows * width + held.revisions.columns
    # Revisions are by instant, so the first from behind is the last.
    changed, last = np.unique(place[::-1], return_index=True)
    cell = row * width + column
    at = np.minimum(np.searchsorted(changed, cell), len(changed) - 1)
    revised = (column >= 0) & (changed[at] == cell)
    return np.where(revised, held.revisions.available_at[::-1][last[at]], since)


def _add_cells(
    found: PanelArrivals,
    panel: Panel,
    row: np.ndarray,
    column: np.ndarray,
    known: np.ndarray,
    stamped: np.ndarray,
    origin: dict[str, object],
) -> None:
    if not len(row):
        return
    names = np.array(panel.symbols, dtype=object)
    ingested_at = np.datetime64(str(origin["ingested_at"]), "us")
    cells = {
        "event_date": panel.dates[row],
        "symbol": names[column],
        "value": panel.closes[row, column],
        **_clock(len(row), known, stamped, ingested_at),
        "source": str(origin["source"]),
        "payload_sha256": str(origin["payload"]),
    }
    found.rows.add("cells", make_table("cells", cells))


def _without(panel: Panel, symbols: tuple[str, ...]) -> Panel:
    if not symbols:
        return panel
    keep = np.array([symbol not in symbols for symbol in panel.symbols])
    names = tuple(symbol for symbol in panel.symbols if symbol not in symbols)
    return Panel(panel.dates, names, panel.closes[:, keep], panel.available_at)


def _clock(
    length: int,
    known: np.ndarray | np.datetime64,
    stamped: np.ndarray | bool,
    ingested_at: np.datetime64,
) -> dict[str, np.ndarray]:
    return {
        "available_at": np.broadcast_to(np.asarray(known, dtype="datetime64[us]"), length),
        "ingested_at": np.full(length, ingested_at, dtype="datetime64[us]"),
        "stamped": np.broadcast_to(np.asarray(stamped, dtype=bool), length),
    }
