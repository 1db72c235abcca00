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

LIMIT_DAYS = 14.0
"""A weekly figure is at most nine days old when the next one comes, a holiday included."""


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


View = tuple[pd.DataFrame, np.ndarray]
"""Values by ``date``, ascending, and the instant at which each row was known."""


class Vintages:
    """Views of bitemporal tables, kept while one dataset is built.

    Many groups read the same table; what the table says as of the last day is worked out once.
    """

    def __init__(self, last: np.datetime64) -> None:
        self.last = last
        self._views: dict[int, tuple[pd.DataFrame, View]] = {}
        self._cuts: dict[int, tuple[pd.DataFrame, np.ndarray]] = {}

    def view(self, table: pd.DataFrame, instant: np.datetime64) -> View:
        """Return the rows known at an instant, latest vintage of each, and since when."""
        # The table is kept beside its view, so that its id cannot pass to another one.
        if instant == self.last and id(table) in self._views:
            return self._views[id(table)][1]
        known = known_at(table, pd.Timestamp(instant, tz="UTC"))
        view = known.set_index("date").drop(columns="available_at"), utc(known["available_at"])
        if instant == self.last:
            self._views[id(table)] = table, view
        return view

    def cuts(self, table: pd.DataFrame) -> np.ndarray:
        """Return :func:`irregular_arrivals` of a table."""
        if id(table) not in self._cuts:
            self._cuts[id(table)] = table, irregular_arrivals(table)
        return self._cuts[id(table)][1]


def point_in_time(
    build: Builder,
    tables: Mapping[str, pd.DataFrame],
    days: pd.DatetimeIndex,
    lookback: int | None = None,
    vintages: Vintages | None = None,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Evaluate a builder as of each day.

    Parameters
    ----------
    build : causal builder.
    tables : role -> bitemporal table with ``date`` and ``available_at``.
    days : as-of days, ascending, datetime64[us].
    lookback : rows that a row of the result reads, itself included; None for all.
    vintages : views of the tables, shared by the groups of one dataset.

    Returns
    -------
    values : frame on ``days``; the last row known at T(d), NaN before there is one.
    age_days : (n,) float64, d minus that row's date; NaN before there is one.
    """
    instants = instants_of(days)
    vintages = vintages or Vintages(instants[-1])
    cuts = np.unique(np.concatenate([vintages.cuts(table) for table in tables.values()]))
    begins = np.unique(np.concatenate([[0], np.searchsorted(instants, cuts)]))
    begins = begins[begins < len(days)]
    pieces: list[np.ndarray] = []
    ages: list[np.ndarray] = []
    columns: pd.Index = pd.Index([])
    for begin, end in zip(begins, [*begins[1:], len(days)], strict=True):
        view, available = _joined(tables, instants[end - 1], vintages)
        row = np.searchsorted(available, instants[begin:end], side="right") - 1
        # Rows before the look-back of the first one that is asked for change nothing.
        first = 0 if lookback is None else max(row[0] - lookback + 1, 0)
        built = build({role: table.iloc[first:] for role, table in view.items()})
        row -= first
        values = np.full((end - begin, built.shape[1]), np.nan)
        age = np.full(end - begin, np.nan)
        there = row >= 0
        if there.any():
            values[there] = built.to_numpy("float64")[row[there]]
            dates = built.index.to_numpy("datetime64[D]")[row[there]]
            age[there] = (days[begin:end][there].to_numpy("datetime64[D]") - dates) / DAY
        columns = built.columns
        pieces.append(values)
        ages.append(age)
    return pd.DataFrame(np.concatenate(pieces), days, columns), np.concatenate(ages)


def day_by_day(
    build: Builder,
    tables: Mapping[str, pd.DataFrame],
    days: pd.DatetimeIndex,
    lookback: int | None = None,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Evaluate a builder whose rows are calendar days, for inputs of different frequency.

    Row d holds each input as it was known at T(d): a weekly series is the last
    one published, and a revision changes the days from its publication on, never
    those before. A value more than ``LIMIT_DAYS`` days old is missing.

    Parameters, Returns
    -------------------
    As :func:`point_in_time`; the age is that of the oldest input.
    """
    starts = [pd.Timestamp(first_day_known(utc(t["available_at"])).min()) for t in tables.values()]
    start = max(starts)
    if lookback is not None:
        start = max(start, days[0] - pd.Timedelta(days=lookback - 1))
    grid = pd.date_range(min(start, days[0]), days[-1], freq="D", unit="us")
    known: dict[str, pd.DataFrame] = {}
    oldest = np.zeros(len(days))
    for role, table in tables.items():
        known[role], age = as_known(table, grid)
        oldest = np.maximum(oldest, age[-len(days) :])
    built = build(known).loc[days]
    return built.astype("float64"), oldest


def as_known(table: pd.DataFrame, days: pd.DatetimeIndex) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the row of the latest date that was known at T(d), for each day d.

    Returns
    -------
    values : frame on ``days``; NaN where nothing was known, or it was too old.
    age_days : (n,) float64, d minus the row's date; NaN where nothing was known.
    """
    arrived = table.sort_values(["available_at", "date"], kind="stable")
    date = arrived["date"].to_numpy("datetime64[D]")
    # What arrives about an older date than the latest known does not change the latest.
    newest = date >= np.maximum.accumulate(date) if len(date) else np.zeros(0, dtype=bool)
    arrived, date = arrived[newest], date[newest]
    row = np.searchsorted(utc(arrived["available_at"]), instants_of(days), side="right") - 1
    values = arrived.drop(columns=["date", "available_at"])
    if not len(values):
        return pd.DataFrame(np.nan, days, values.columns), np.full(len(days), np.nan)
    age = (days.to_numpy("datetime64[D]") - date[np.maximum(row, 0)]) / DAY
    age[row < 0] = np.nan
    taken = values.take(np.maximum(row, 0)).set_axis(days)
    return taken.mask(pd.Series(~(age <= LIMIT_DAYS), days), axis=0), age


def _joined(
    tables: Mapping[str, pd.DataFrame], instant: np.datetime64, vintages: Vintages
) -> tuple[dict[str, pd.DataFrame], np.ndarray]:
    """Cut each table at an instant; keep the dates all share, and when each was known."""
    views = {role: vintages.view(table, instant) for role, table in tables.items()}
    frames = [frame for frame, _ in views.values()]
    if not frames:
        raise ValueError("a builder needs at least one table")
    shared = frames[0].index
    for frame in frames[1:]:
        shared = shared if frame.index.equals(shared) else shared.intersection(frame.index)
    known: dict[str, pd.DataFrame] = {}
    stamps: list[np.ndarray] = []
    for role, (frame, arrived) in views.items():
        place = slice(None) if len(frame) == len(shared) else frame.index.get_indexer(shared)
        known[role] = frame.iloc[place]
        stamps.append(arrived[place])
    return known, np.maximum.accumulate(np.max(stamps, axis=0))


def utc(stamps: pd.Series) -> np.ndarray:
    """Return zoned instants as naive UTC datetime64[us]."""
    return stamps.to_numpy("datetime64[us]")
