"""Point-in-time evaluation: what a causal builder would have said on each as-of day.

A builder is causal in event dates, which is not enough: rows arrive late and
are revised. Between two such irregular arrivals, though, the tables only grow
at their end, so one run of the builder serves every as-of day in between. The
days are cut at the irregular arrivals and the builder runs once for each piece.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from features.registry import Builder
from sources.market import known_at

DAY = np.timedelta64(1, "D")


def instants_of(days: pd.DatetimeIndex) -> np.ndarray:
    """Return T(d) of each as-of day, the next midnight, as naive UTC datetime64[us]."""
    stamps: np.ndarray = (days.to_numpy("datetime64[D]") + DAY).astype("datetime64[us]")
    return stamps


def first_day_known(available_at: np.ndarray) -> np.ndarray:
    """Return the first as-of day at which each instant has passed.

    Parameters
    ----------
    available_at : (n,) datetime64[us], UTC.

    Returns
    -------
    (n,) datetime64[D], the least d with ``available_at <= T(d)``.
    """
    floor = available_at.astype("datetime64[D]")
    on_midnight = floor.astype(available_at.dtype) == available_at
    days: np.ndarray = np.where(on_midnight, floor - DAY, floor)
    return days


def irregular_arrivals(table: pd.DataFrame) -> np.ndarray:
    """Return the instants at which a table changed anywhere but at its end.

    These are the arrivals of revisions, and of rows that came after a row of
    a later date.
    """
    stamps = utc(table["available_at"])
    first = ~table["date"].duplicated(keep="first").to_numpy()
    later = np.minimum.accumulate(stamps[first][::-1])[::-1]
    late = stamps[first][:-1] > later[1:]
    return np.unique(np.concatenate([stamps[~first], stamps[first][:-1][late]]))


def point_in_time(
    build: Builder, tables: Mapping[str, pd.DataFrame], days: pd.DatetimeIndex
) -> tuple[pd.DataFrame, np.ndarray]:
    """Evaluate a builder as of each day.

    Parameters
    ----------
    build : causal builder.
    tables : role -> bitemporal table with ``date`` and ``available_at``.
    days : as-of days, ascending, datetime64[us].

    Returns
    -------
    values : frame on ``days``; the last row known at T(d), NaN before there is one.
    age_days : (n,) float64, d minus that row's date; NaN before there is one.
    """
    instants = instants_of(days)
    cuts = np.unique(np.concatenate([irregular_arrivals(table) for table in tables.values()]))
    begins = np.unique(np.concatenate([[0], np.searchsorted(instants, cuts)]))
    begins = begins[begins < len(days)]
    pieces: list[pd.DataFrame] = []
    ages: list[np.ndarray] = []
    for begin, end in zip(begins, [*begins[1:], len(days)], strict=True):
        view, available = _joined(tables, instants[end - 1])
        built = build(view)
        row = np.searchsorted(available, instants[begin:end], side="right") - 1
        values = built.take(np.maximum(row, 0)).set_axis(days[begin:end]) if len(built) else None
        if values is None:
            values = pd.DataFrame(np.nan, days[begin:end], built.columns)
            age = np.full(end - begin, np.nan)
        else:
            values[row < 0] = np.nan
            dates = built.index.to_numpy("datetime64[D]")[np.maximum(row, 0)]
            age = (days[begin:end].to_numpy("datetime64[D]") - dates) / DAY
            age[row < 0] = np.nan
        pieces.append(values.astype("float64"))
        ages.append(age)
    return pd.concat(pieces), np.concatenate(ages)


def _joined(
    tables: Mapping[str, pd.DataFrame], instant: np.datetime64
) -> tuple[dict[str, pd.DataFrame], np.ndarray]:
    """Cut each table at an instant; keep the dates all share, and when each was known."""
    cut = pd.Timestamp(instant, tz="UTC")
    known = {role: known_at(table, cut).set_index("date") for role, table in tables.items()}
    shared: pd.Index | None = None
    for table in known.values():
        shared = table.index if shared is None else shared.intersection(table.index)
    if shared is None:
        raise ValueError("a builder needs at least one table")
    shared = shared.sort_values()
    known = {role: table.loc[shared] for role, table in known.items()}
    stamps = np.max([utc(table["available_at"]) for table in known.values()], axis=0)
    return (
        {role: table.drop(columns="available_at") for role, table in known.items()},
        np.maximum.accumulate(stamps) if len(stamps) else stamps,
    )


def utc(stamps: pd.Series) -> np.ndarray:
    """Return zoned instants as naive UTC datetime64[us]."""
    return stamps.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")
