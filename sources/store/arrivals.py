"""Arrivals: which rows of a feed are new, and when each became available.

The rules, in short (docs/adr/0005 has them with their reasons):

- a series that is new, and dates after its last, become available when the calendar or the feed
  says;
- a date on or before the last that was missing, and a value that differs from the one held,
  become available when they arrive, so that no earlier answer changes;
- but a feed's own ``available_at`` is believed for what it has not said otherwise before, and a
  re-adjustment of prices by a constant factor belongs to the first new row beside it;
- what is as held, and NaN, which says nothing, changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sources.store.rebasing import Rebasing, rebasing

_NEVER = np.iinfo("i8").min


@dataclass(frozen=True)
class Arrivals:
    """What a feed brings to one series.

    Attributes
    ----------
    rows : (k,) places of the feed's rows that are stored.
    values : (k, c) what they say; where the feed says nothing of a known date, what was known.
    available_at : (k,) datetime64[us], when each became available.
    stamped : (k,) bool, whether that is the instant of its arrival.
    new, revised : how many are of dates that were unknown, and of known ones.
    rebased_on : the feed's first date, where it stands on another basis than what is held
        before it; nothing is stored then, and its whole history is needed.
    """

    rows: np.ndarray
    values: np.ndarray
    available_at: np.ndarray
    stamped: np.ndarray
    new: int
    revised: int
    rebased_on: np.datetime64 | None = None


def arrivals(
    held: pd.DataFrame,
    feed: pd.DataFrame,
    stated: np.ndarray,
    ingested_at: np.datetime64,
    values: tuple[str, ...],
) -> Arrivals:
    """Compare a feed with the rows held of its series.

    Parameters
    ----------
    held : rows of the series as stored, by ``event_date``, ``available_at``, ``ingested_at``.
    feed : rows ``date``, values, ``available_at``, in order, each key once.
    stated : (n,) bool, whether ``available_at`` is the feed's own word.
    ingested_at : instant of arrival, after all that was stored before.
    values : the value columns.
    """
    date = feed["date"].to_numpy("datetime64[us]")
    claimed = feed["available_at"].dt.tz_localize(None).to_numpy("datetime64[us]")
    said = feed[list(values)].to_numpy("float64")
    every = np.arange(len(feed))
    known_date = held["event_date"].to_numpy("datetime64[us]")
    known_at = held["available_at"].to_numpy("datetime64[us]")
    if not len(held):
        return Arrivals(every, said, claimed, np.zeros(len(feed), dtype=bool), len(set(date)), 0)
    # The last vintage of each date that is held; rows are sorted, so it is the last of its run.
    last = np.flatnonzero(np.append(known_date[1:] != known_date[:-1], True))
    place = np.minimum(np.searchsorted(known_date[last], date), len(last) - 1)
    latest = last[place]
    exists = known_date[latest] == date
    there = held[list(values)].to_numpy("float64")
    same = exists & _says_nothing_else(said, there[latest])
    final = np.append(date[1:] != date[:-1], True)
    # Where a feed has several vintages of a date, the calendar's instant is as good as stated.
    first = np.append(True, date[1:] != date[:-1])
    own = stated | ~(first & final)
    row_of = pd.MultiIndex.from_arrays([known_date, known_at])
    keyed = ~row_of.duplicated(keep="last")
    at = row_of[keyed].get_indexer(pd.MultiIndex.from_arrays([date, claimed]))
    exact = at >= 0
    repeated = exact & _says_nothing_else(said, there[np.flatnonzero(keyed)[np.maximum(at, 0)]])
    marked = held["stamped"].to_numpy(bool)
    begins = np.append(0, last[:-1] + 1)
    arrived = np.maximum.reduceat(np.where(marked, known_at.view("i8"), _NEVER), begins)[place]
    # What a feed says of the time before something arrived cannot have been known then.
    overruled = exists & (claimed.view("i8") <= arrived)
    taken_back = overruled & marked[latest]
    natural = np.where(own, ~exists, ~exists & (date > known_date[-1]))
    vintage = own & exists & ~overruled & ~exact
    backfilled = ~own & ~exists & ~natural
    restated = final & exists & ~same & np.where(own, taken_back | (exact & ~repeated), True)
    available = claimed.copy()
    # Whatever arrives late is known from now on; of what was not out yet the newest word counts.
    arrival = np.maximum(ingested_at, claimed)
    available[backfilled] = arrival[backfilled]
    available[restated] = np.maximum(arrival, known_at[latest])[restated]
    found = Rebasing(np.zeros(len(feed), dtype=bool), None)
    if restated.any() and "adj_close" in values:
        prices = [place for place, name in enumerate(values) if name != "volume"]
        shared = exists & final
        found = rebasing(date, said[:, prices], there[latest][:, prices], shared, known_date[0])
    ahead = natural & (date > known_date[-1])
    if found.since is not None:
        nothing = np.zeros(0, dtype="int64")
        return Arrivals(nothing, said[:0], claimed[:0], exists[:0], 0, 0, found.since)
    moved = restated & found.moved & ahead.any()
    if moved.any():
        beginning = claimed[ahead].min()
        moved &= beginning > known_at[latest]
        available[moved] = beginning
    taken = natural | vintage | backfilled | restated
    rows = np.flatnonzero(taken)
    return Arrivals(
        rows=rows,
        values=_filled(
            said[rows], there, begins, known_at, np.where(exists, place, -1)[rows], available[rows]
        ),
        available_at=available[rows],
        stamped=((backfilled | restated) & ~moved)[rows],
        new=len(np.unique(date[taken & ~exists])),
        revised=int((taken & exists).sum()),
    )


def _says_nothing_else(said: np.ndarray, there: np.ndarray) -> np.ndarray:
    same: np.ndarray = (np.isnan(said) | (said == there)).all(axis=1)
    return same


def _filled(
    said: np.ndarray,
    there: np.ndarray,
    begins: np.ndarray,
    known_at: np.ndarray,
    run: np.ndarray,
    at: np.ndarray,
) -> np.ndarray:
    """Return rows to store with what was known of their date at their instant, where they are NaN.

    Parameters
    ----------
    said : (k, c) rows to store.
    there : (n, c) rows held.
    begins : (m,) where the run of each date held begins.
    known_at : (n,) instants of the rows held, ascending in each run.
    run, at : (k,) the run of each row to store, -1 for none, and its instant.
    """
    instants = np.unique(np.concatenate([known_at, at]))
    own = np.repeat(np.arange(len(begins)), np.diff(np.append(begins, len(known_at))))
    held = own * len(instants) + np.searchsorted(instants, known_at)
    asked = run * len(instants) + np.searchsorted(instants, at)
    found = np.searchsorted(held, asked, side="right") - 1
    known = (found >= 0) & (own[found] == run)
    return np.where(np.isnan(said) & known[:, None], there[found], said)
