"""Comparison: the feeds of a batch against all that is held."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from sources.errors import SchemaError
from sources.market import Panel
from sources.schemas import LAYOUTS
from sources.store.arrivals import arrivals
from sources.store.feeds import CLOSES, MEMBERS, Feed, in_order
from sources.store.panels import member_arrivals, panel_arrivals
from sources.store.rows import KINDS, PANEL_KINDS, Rows, make_table
from sources.store.views import by_series, panel_of


@dataclass(frozen=True)
class Change:
    """What one feed of a batch changed.

    Attributes
    ----------
    feed : as it came, in order.
    new : dates that were unknown.
    revised : rows (cells of closes) that restate what was known, or fill what was missing.
    duplicates : rows that came more than once, and count once.
    rebased : what stands on another basis than the history held before the feed's first date, as
        ``name from date``; nothing of it was stored, and its whole history is needed.
    """

    feed: Feed
    new: int = 0
    revised: int = 0
    duplicates: int = 0
    rebased: tuple[str, ...] = ()

    @property
    def stored(self) -> bool:
        """Whether the feed brought any row."""
        return bool(self.new or self.revised)


def kinds_of(feeds: Sequence[Feed]) -> tuple[str, ...]:
    """Return the kinds of rows that must be read to compare some feeds."""
    folders = {feed.folder for feed in feeds}
    panel = PANEL_KINDS if "constituents" in folders else ()
    return (*(kind for kind in LAYOUTS if kind in folders), *panel)


def compare(
    held: Rows,
    feeds: Sequence[Feed],
    ingested_at: np.datetime64,
    advance: Callable[[str], None] = lambda _: None,
) -> tuple[Rows, list[Change]]:
    """Return the rows that some feeds add to those held, and what each feed changed.

    The order of the feeds changes nothing.

    Raises
    ------
    SchemaError
        Where a feed contradicts itself, is not as its layout says, or comes twice.
    """
    ordered = sorted(feeds, key=lambda feed: feed.key)
    for one, other in pairwise(ordered):
        if one.key == other.key:
            raise SchemaError(
                one.label,
                expected="one feed of a series in a batch",
                found=f"two, of {one.source} and of {other.source}",
            )
    added, changes = Rows(), []
    series: dict[str, dict[str, pd.DataFrame]] = {}
    panel: Panel | None = None
    if any(feed.folder == "constituents" for feed in ordered):
        panel = panel_of(held)
    for feed in ordered:
        if feed.key == CLOSES:
            found = panel_arrivals(panel, feed, ingested_at)
            added.extend(found.rows)
            changes.append(Change(feed, found.new, found.revised, 0, found.rebased))
        elif feed.key == MEMBERS:
            members = held_members(held)
            first = panel is None and CLOSES in {other.key for other in ordered}
            rows, differing = member_arrivals(members, first, feed, ingested_at)
            added.extend(rows)
            new, revised = (differing, 0) if members is None else (0, differing)
            changes.append(Change(feed, new, revised))
        elif feed.folder in LAYOUTS:
            if feed.folder not in series:
                series[feed.folder] = by_series(held.frame(feed.folder))
            before = series[feed.folder].get(feed.name)
            changes.append(_compare_series(before, feed, ingested_at, added))
        else:
            raise SchemaError(
                feed.label, expected=f"a folder of {', '.join(LAYOUTS)}", found=feed.folder
            )
        advance(feed.label)
    return added, changes


def held_members(held: Rows) -> pd.DataFrame | None:
    """Return the table of members held last, or None."""
    frame = held.frame("members")
    if not len(frame):
        return None
    last = frame[frame["ingested_at"] == frame["ingested_at"].max()]
    names = pd.Series(last["symbol"].astype(str).tolist(), dtype="str")
    columns = {name: last[name].to_numpy() for name in ("start", "end")}
    return pd.DataFrame({"symbol": names, **columns})


def _compare_series(
    held: pd.DataFrame | None, feed: Feed, ingested_at: np.datetime64, added: Rows
) -> Change:
    ordered, duplicates = in_order(feed)
    table = ordered.table
    assert table is not None
    values = tuple(LAYOUTS[feed.folder].bounds)
    if held is None:
        held = Rows().frame(feed.folder)
    found = arrivals(held, table, np.asarray(ordered.stated), ingested_at, values)
    if len(found.rows):
        columns: dict[str, Any] = {
            "series": feed.name,
            "event_date": table["date"].to_numpy()[found.rows],
            **{name: found.values[:, place] for place, name in enumerate(values)},
            "available_at": found.available_at,
            "ingested_at": np.full(len(found.rows), ingested_at, dtype="datetime64[us]"),
            "stamped": found.stamped,
            "source": feed.source,
            "payload_sha256": feed.payloads[-1],
        }
        assert set(columns) == set(KINDS[feed.folder].names)
        added.add(feed.folder, make_table(feed.folder, columns))
    since = found.rebased_on
    rebased = () if since is None else (f"{feed.name} from {np.datetime_as_string(since, 'D')}",)
    return Change(ordered, found.new, found.revised, duplicates, rebased)
