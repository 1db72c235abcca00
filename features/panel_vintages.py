"""Breadth as it was known: a panel's cells and members may change after their session.

Between two such changes a panel only grows at its end, and its breadth with it. Breadth is
computed as of each day on which something else happened; rows that say something else from then
on are revisions of the table, as a restated price is one of its own.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.breadth import breadth_table
from features.clock import first_day_known
from sources.market import Panel


def breadth_as_known(panel: Panel) -> pd.DataFrame:
    """Return breadth of a panel with all its vintages; of one without, :func:`breadth_table`.

    Returns
    -------
    bitemporal frame: a date again with a later ``available_at`` is a revision.
    """
    days = np.unique(first_day_known(_instants(panel)))
    if not len(days):
        return breadth_table(panel)
    # The last states before each change: a causal builder says the same on all days since the one
    # before. The midnight that begins a day is the instant of the day before it.
    states = [panel.as_of(pd.Timestamp(day, tz="UTC")) for day in days]
    known = breadth_table(states[0])
    found = [known]
    for day, state in zip(days, [*states[1:], panel], strict=True):
        vintage = breadth_table(state)
        changed, again = _unlike(known, vintage)
        # A new session is known since it came, and what is said of an earlier one since that day.
        since = pd.Timestamp(_last_change(panel, day), tz="UTC")
        known_at = vintage["available_at"].mask(pd.Series(again, vintage.index), since)
        found.append(vintage.assign(available_at=known_at)[changed])
        known = vintage
    table = pd.concat([part for part in found if len(part)], ignore_index=True)
    return table.sort_values(["date", "available_at"], kind="stable", ignore_index=True)


def _instants(panel: Panel) -> np.ndarray:
    """Return the instants at which a panel changed anywhere but at its end."""
    known = panel.available_at
    later = np.minimum.accumulate(known[::-1])[::-1]
    late = known[:-1][known[:-1] > later[1:]]
    instants = late if panel.revisions is None else np.append(late, panel.revisions.instants())
    return instants.astype("datetime64[us]")


def _last_change(panel: Panel, day: np.datetime64) -> np.datetime64:
    """Return the last such instant that is first known as of a day."""
    instants = _instants(panel)
    last: np.datetime64 = instants[first_day_known(instants) == day].max()
    return last


def _unlike(known: pd.DataFrame, vintage: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows (n,) of a vintage are new or say something else, and which were there."""
    values = [name for name in vintage if name not in {"date", "available_at"}]
    place = pd.Index(known["date"]).get_indexer(pd.Index(vintage["date"]))
    there = place >= 0
    after = vintage[values].to_numpy("float64")
    if not len(known):
        return ~there, there
    before = known[values].to_numpy("float64")[np.maximum(place, 0)]
    same = ((before == after) | (np.isnan(before) & np.isnan(after))).all(axis=1)
    changed: np.ndarray = ~(there & same)
    return changed, there
