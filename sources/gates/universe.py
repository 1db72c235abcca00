"""Gates of a universe: a feed that lost its names is a failed feed, not a collapse of breadth."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pandas as pd

from sources.errors import DataUnavailableError
from sources.market import Panel

LEAST_COVERAGE = 0.95
"""Share of yesterday's names that today's must count."""

LEAST_OVERLAP = 0.5
"""Share of yesterday's names that today's must name: less is the file of another fund."""

_HOLDS = 5


def require_coverage(found: int, before: int, source: str) -> None:
    """Refuse a universe with fewer than 95 % of the names that it had.

    Raises
    ------
    DataUnavailableError
        With both counts.
    """
    if found < LEAST_COVERAGE * before:
        raise DataUnavailableError(
            f"{source}: feed refused: needed at least {LEAST_COVERAGE:.0%} of the {before} names "
            f"it had; found {found} ({found / before:.1%})",
            source=source,
        )


def screen_snapshot(before: Collection[str], names: Collection[str], source: str) -> None:
    """Refuse a snapshot of members that cannot be the next one of the same universe.

    Parameters
    ----------
    before : members of the last accepted snapshot; empty for the first one.
    names : members of the one that came.
    source : for messages.

    Raises
    ------
    DataUnavailableError
        Where it is empty, has lost more than 5 % of the count, or more than half of the names.
    """
    if not names:
        raise DataUnavailableError(
            f"{source}: feed refused: needed members; found none", source=source
        )
    if not before:
        return
    require_coverage(len(set(names)), len(set(before)), source)
    same = len(set(before) & set(names)) / len(set(before))
    if same < LEAST_OVERLAP:
        raise DataUnavailableError(
            f"{source}: feed refused: needed at least {LEAST_OVERLAP:.0%} of the names it had; "
            f"found {same:.1%} (another fund's file?)",
            source=source,
        )


def screen_panel(fetched: Panel, stored: Panel | None = None) -> tuple[Panel, pd.DataFrame]:
    """Take out sessions on which more than 5 % of the constituents suddenly have no price.

    A lower level that holds for five sessions is the new universe, and stays.

    Parameters
    ----------
    fetched : the panel that came.
    stored : the panel there is; its last session before the first fetched one is yesterday's.

    Returns
    -------
    The panel without those sessions, and a frame ``date,available_at,reason,needed,found``.
    """
    counts = np.isfinite(fetched.closes).sum(axis=1)
    last = 0
    if stored is not None and len(fetched.dates):
        earlier = np.flatnonzero(stored.dates < fetched.dates[0])
        last = int(np.isfinite(stored.closes[earlier[-1]]).sum()) if len(earlier) else 0
    keep = np.ones(len(counts), dtype=bool)
    found: list[str] = []
    for i, count in enumerate(counts):
        held = len(counts) - i >= _HOLDS and counts[i : i + _HOLDS].min() >= LEAST_COVERAGE * count
        if count >= LEAST_COVERAGE * last or (held and count > 0):
            last = int(count)
            continue
        keep[i] = False
        found.append(f"{count} of {last} names ({count / last:.1%})")
    quarantined = pd.DataFrame(
        {
            "date": fetched.dates[~keep],
            "available_at": pd.DatetimeIndex(fetched.available_at[~keep]).tz_localize("UTC"),
            "reason": "coverage drop",
            "needed": f"at least {LEAST_COVERAGE:.0%} of the last session's names",
            "found": found,
        }
    )
    accepted = replace(
        fetched,
        dates=fetched.dates[keep],
        closes=fetched.closes[keep],
        available_at=fetched.available_at[keep],
    )
    return accepted, quarantined
