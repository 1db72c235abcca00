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
_ENOUGH_WEIGHTS = 20


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
    failure = _failure(set(before), set(names))
    if failure is not None:
        needed, found = failure
        raise DataUnavailableError(
            f"{source}: feed refused: needed {needed}; found {found}", source=source
        )


def _failure(before: set[str], names: set[str]) -> tuple[str, str] | None:
    """Return what was needed of a snapshot and what was found, or None where it may follow."""
    if not names:
        return "members", "none"
    if len(names) < LEAST_COVERAGE * len(before):
        needed = f"at least {LEAST_COVERAGE:.0%} of the {len(before)} names it had"
        return needed, f"{len(names)} ({len(names) / len(before):.1%})"
    same = len(before & names)
    if same < LEAST_OVERLAP * len(before):
        needed = f"at least {LEAST_OVERLAP:.0%} of the names it had"
        return needed, f"{same / len(before):.1%} (another fund's file?)"
    return None


def screen_snapshots(
    fetched: pd.DataFrame, stored: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Take out the snapshots of members that cannot follow the ones before them.

    A lower count that holds for five snapshots, each with weights of its own, is the new universe,
    and stays, where at least half of its names are those there were.

    Parameters
    ----------
    fetched : ``date,symbol,weight,available_at``, as :mod:`sources.live.memberships` has it.
    stored : accepted earlier, or None.

    Returns
    -------
    The rows of the others, and a frame ``date,available_at,reason,needed,found`` with one row
    for each snapshot taken out: too few names, other names, or those and the weights of the last
    day under a new date.
    """
    held = fetched.iloc[:0] if stored is None else stored
    accepted = [held]
    taken: list[tuple[object, ...]] = []
    groups = list(fetched.groupby(["date", "available_at"], sort=True))
    members = [dict(zip(rows["symbol"], rows["weight"], strict=True)) for _, rows in groups]
    for i, ((day, known), rows) in enumerate(groups):
        earlier = pd.concat(accepted)
        earlier = earlier[earlier["date"] < day]
        last = earlier[earlier["date"] == earlier["date"].max()]
        before, now = dict(zip(last["symbol"], last["weight"], strict=True)), members[i]
        failure = _failure(set(before), set(now))
        if failure is not None and not _holds(set(before), members[i:]):
            needed, found = failure
            taken.append((day, known, "coverage drop", needed, found))
            continue
        if before == now and len(now) >= _ENOUGH_WEIGHTS:
            needed = "weights of its own"
            taken.append((day, known, "repeated snapshot", needed, "those of the day before"))
            continue
        accepted.append(rows)
    columns = ["date", "available_at", "reason", "needed", "found"]
    result = pd.concat(accepted[1:]) if len(accepted) > 1 else fetched.iloc[:0]
    return result.reset_index(drop=True), pd.DataFrame(taken, columns=columns)


def _holds(before: set[str], coming: list[dict[str, float]]) -> bool:
    """Tell whether a first snapshot is of the same universe, and its count that of the next ones.

    A file that comes again under a new date holds nothing.
    """
    names = set(coming[0])
    own = [now for i, now in enumerate(coming) if i == 0 or now != coming[i - 1]][:_HOLDS]
    return (
        len(own) == _HOLDS
        and len(names & before) >= LEAST_OVERLAP * len(names) > 0
        and all(len(names & set(now)) >= LEAST_COVERAGE * len(names) for now in own)
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
